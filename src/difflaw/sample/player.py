"""A generation as one HTML file that plays, without a network: colour is confidence, a changed token flashes.

Texts go into the page as JSON and from there into text nodes only, so nothing in them can become markup.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from difflaw.sample.frame import Frame
from difflaw.sample.pieces import Pieces

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>@TITLE@</title><style>
:root{color-scheme:light dark;font:16px/1.6 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
.row{white-space:pre-wrap;overflow-wrap:anywhere;border-left:3px solid #8886;padding:.2rem 1rem;margin:1rem 0}
.given{font-weight:600}.open{opacity:.35}.row span{border-radius:3px}
@keyframes flash{from{background:#fc0}to{background:transparent}}.new{animation:flash .9s}
#bar{display:flex;gap:1rem;align-items:center;position:sticky;top:0;background:Canvas;padding:.5rem 0}
#at{flex:1}footer{color:#888;font-size:.85rem}
@media (prefers-reduced-motion:reduce){.new{animation:none;text-decoration:underline}}
</style></head><body><h1>@TITLE@</h1><p>@CAPTION@</p>
<div id="bar"><button id="play">Pause</button>
<input id="at" type="range" min="0" aria-label="step"><span id="step"></span></div>
<main id="rows"></main>
<footer>Colour: the probability the network gave a token when it wrote it, red 0 to green 1.</footer>
<script type="application/json" id="data">@DATA@</script><script>
"use strict";
const data=JSON.parse(document.getElementById("data").textContent),rows=document.getElementById("rows");
const at=document.getElementById("at"),play=document.getElementById("play"),step=document.getElementById("step");
const cells=data.start.map(r=>{const p=document.createElement("p");p.className="row";rows.append(p);
 return r.map(c=>{const s=document.createElement("span");p.append(s);return s;});});
const hue=c=>`hsl(${Math.round(120*c)} 75% 42%)`;
function put(s,c,isNew){s.textContent=data.texts[c[0]];
 s.className=(c[2]?"open":c[1]===null?"given":"")+(isNew?" new":"");
 s.style.color=c[1]===null||(c[2]&&c[1]===0)?"":hue(c[1]);}
let now=-1,running=true;
function show(k){if(k<now||now<0){data.start.forEach((r,i)=>r.forEach((c,j)=>put(cells[i][j],c,false)));now=0;}
 while(now<k){now++;const last=now===k;
  for(const [i,j,t,c,o,n] of data.frames[now-1].changes)put(cells[i][j],[t,c,o],last&&n);}
 at.value=k;const f=k?data.frames[k-1]:null;
 step.textContent=`${k} / ${data.frames.length}`+(f&&f.log_snr!==null?`  λ ${f.log_snr.toFixed(2)}`:"");}
at.max=data.frames.length;at.oninput=()=>{running=false;play.textContent="Play";show(+at.value);};
play.onclick=()=>{running=!running;if(running&&now>=data.frames.length)show(0);play.textContent=running?"Pause":"Play";};
show(0);setInterval(()=>{if(running&&now<data.frames.length)show(now+1);},@DELAY@);
</script></body></html>
"""


def page(frames: Sequence[Frame], pieces: Pieces, title: str, caption: str) -> str:
    """The page of a trace; ``pieces`` must be fresh. Frames hold only what changed."""
    texts: dict[str, int] = {}
    rows: dict[int, int] = {}
    cells: list[list[list[Any]]] = []
    start: list[list[list[Any]]] = []
    steps = []
    for frame in frames:
        changes = []
        for row, found in pieces.rows(frame):
            now = [
                [
                    texts.setdefault(piece.text, len(texts)),
                    None if piece.confidence is None else round(piece.confidence, 3),
                    int(piece.is_open),
                ]
                for piece in found
            ]
            if row not in rows:
                rows[row] = len(cells)
                first = [c if c[1] is None else [texts.setdefault("░", len(texts)), 0.0, 1] for c in now]
                start.append(first)
                cells.append(first)
            index = rows[row]
            for at, (old, new) in enumerate(zip(cells[index], now, strict=True)):
                if old != new:
                    changes.append([index, at, *new, int(old[0] != new[0])])
            cells[index] = now
        steps.append({"changes": changes, "log_snr": frame.log_snr if abs(frame.log_snr) < 1e9 else None})
    data = json.dumps({"texts": list(texts), "start": start, "frames": steps}, allow_nan=False)
    delay = max(40, min(400, round(8000 / max(len(steps), 1))))
    filled = _PAGE.replace("@TITLE@", html.escape(title)).replace("@CAPTION@", html.escape(caption))
    filled = filled.replace("@DELAY@", str(delay))
    # last, so that no text is taken for a place to fill; no "<" in it, so that no text ends the script
    return filled.replace("@DATA@", data.replace("<", "\\u003c").replace("\u2028", "\\u2028"))
