"""Somebody's runs as a table with known columns: read, checked, trimmed, and read off at a budget."""

from difflaw.law.table.read import Table, read_table, table_from_frame

__all__ = ["Table", "read_table", "table_from_frame"]
