"""Write tests/facts/*.json again: `python -m tests.facts.make`, with the golden folder beside the checkout.

Golden arrays are not carried. Each formula below is the reference's as written down, in plain NumPy and independent of
the package; it must first give the golden arrays back, and is then put to inputs made from a seed (`inputs.py`). What
has no formula (schedules, the integral cache, attention masks) is carried as a few of the golden numbers themselves.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from tests.facts.inputs import (
    BETAS,
    LENGTH,
    MASK,
    NETWORKS,
    NOISE,
    SHAPE,
    SHAPINGS,
    V,
    gradients,
    places,
    text,
    weights,
)

HERE = Path(__file__).parent
GOLDEN = HERE.parents[2] / "shared/golden"


def sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def softmax(logits, mask: int | None):
    e = np.exp(logits - logits.real.max(-1, keepdims=True))
    if mask is not None:
        e[..., mask] = 0
    return e / e.sum(-1, keepdims=True)


def take(values, ids):
    return np.take_along_axis(values, ids[..., None], -1)[..., 0]


# -- GIDD (dvruette/gidd-easydel, loss.py and schedule.py; 2512.10858) ------------------------------------------------


def mixing(lam, shift: float, scale: float, vocab: int, mask: int):
    """(π, π'), (…, V)."""
    share = sigmoid(scale * lam + shift)[..., None]
    on_mask = np.arange(vocab) == mask
    pi = np.where(on_mask, 1 - share, share / (vocab - 1))
    return pi, scale * share * (1 - share) * np.where(on_mask, -1, 1 / (vocab - 1))


def gidd(logits, x, z, lam, shift, scale, beta, vocab, mask, guard=0.0):
    """(loss, bound) per token; ``guard`` is what the reference adds to P inside ρ."""
    alpha = sigmoid(lam)[..., None]
    pi, slope = mixing(lam, shift, scale, vocab, mask)
    q = alpha * (np.arange(vocab) == x[..., None]) + (1 - alpha) * pi
    p = alpha * softmax(logits, mask) + (1 - alpha) * pi
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(q > 0, q * (np.log(q) - np.log(p)), 0).sum(-1)
        q_z, p_z = take(q, z), take(p, z)
        is_ = q_z / (p_z + guard) - (np.log(q_z) - np.log(p_z)) - 1
    is_ = np.where(q_z > 0, is_, 0)
    weight = (take(pi, z) - take(slope, z)) / np.maximum(take(pi, z) + np.exp(lam) * (z == x), 1e-8)
    return weight * (kl + beta * is_), weight / (sigmoid(lam) * sigmoid(-lam)) * (kl + is_)


def transition(logits, z, lam_t, lam_s, shift, vocab, mask):
    """p(z_s | z_t), (…, V)."""
    (pi_t, _), (pi_s, _) = (mixing(np.asarray(lam), shift, 1.0, vocab, mask) for lam in (lam_t, lam_s))
    a_t, a_s = sigmoid(lam_t), sigmoid(lam_s)
    x_hat = softmax(logits, mask)
    noise = (1 - a_t) * pi_t - a_t / a_s * (1 - a_s) * pi_s
    q_s, q_t = a_s * x_hat + (1 - a_s) * pi_s, a_t * x_hat + (1 - a_t) * pi_t
    kernel = a_t / a_s * (np.arange(vocab) == z[..., None]) + noise[z][..., None]
    return q_s * kernel / take(q_t, z)[..., None]


def make_gidd() -> dict[str, object]:
    files = ("shift_m1000", "shift_m2", "shift_p0", "shift_p2", "shift_p1000", "beta025_shift_p0", "scale05_shift_m1")
    for file, (shift, scale, beta) in zip(files, NOISE.values(), strict=True):
        g = np.load(GOLDEN / f"gidd_loss/{file}.npz")
        assert np.allclose((g["shift"], g["scale"], g["beta_is_div"]), (shift, scale, beta))
        arrays = [
            g[k].astype(np.float64 if g[k].dtype.kind == "f" else np.int64)
            for k in ("logits", "labels", "z", "log_snr")
        ]
        loss, bound = gidd(*arrays, shift, scale, beta, 97, int(g["mask_id"]), guard=1e-12)
        ok = g["possible"]
        for ours, theirs in ((loss, g["f64_loss"]), (bound, g["f64_elbo"])):
            assert np.all(np.abs(ours - theirs)[ok] <= (1e-8 * np.abs(theirs) + 1e-9)[ok]), file
    for name in ("m1000", "m2", "p0", "p1000"):
        g = np.load(GOLDEN / f"gidd_sampler/trans_shift_{name}.npz")
        for k, (t, s) in enumerate(zip(g["log_snr_t"].astype(float), g["log_snr_s"].astype(float), strict=True)):
            with np.errstate(divide="ignore", invalid="ignore"):
                ours = transition(g["logits"].astype(float), g["z"], t, s, float(g["shift"]), 97, int(g["mask_id"]))
            known = np.isfinite(g["p_s_given_t"][k])
            assert np.abs(ours - g["p_s_given_t"][k])[known].max() < 5e-6
    out: dict[str, object] = {}
    for seed, (name, (shift, scale, beta)) in enumerate(NOISE.items()):
        at = places(seed, shift)
        wide = at.logits.astype(np.longdouble)
        loss, bound = gidd(wide, at.x, at.z, at.log_snr.astype(np.longdouble), shift, scale, beta, V, MASK)
        step = 1e-30j * at.direction  # complex step: exact derivatives without differences
        moved = gidd(at.logits + step, at.x, at.z, at.log_snr, shift, scale, beta, V, MASK)[0]
        out[name] = {"loss": loss, "bound": bound, "slope": moved.imag / 1e-30}
        if scale == beta == 1:
            out[name] |= {"step": transition(at.logits[1:3], at.z[1:3], -1.0, 0.5, shift, V, MASK)}  # type: ignore[operator]
    return out


# -- Duo's base (s-sahoo/duo, 2506.10892) and MDLM (s-sahoo/scaling-dllms, 2602.15014) --------------------------------


def duo(logits, x, z, alpha, slope, mask: int | None):
    """The bound's integrand in time, α' = ``slope``."""
    vocab = logits.shape[-1]
    clean = vocab * alpha[..., None] * (np.arange(vocab) == x[..., None]) + 1 - alpha[..., None]
    model = vocab * alpha[..., None] * softmax(logits, mask) + 1 - alpha[..., None]
    c, m = take(clean, z), take(model, z)
    ratios = (clean / c[..., None] * np.log(m[..., None] * clean / (model * c[..., None]))).sum(-1)
    return slope / (vocab * alpha) * (vocab / c - vocab / m - ratios)


def make_duo() -> dict[str, object]:
    g = np.load(GOLDEN / "duo/duo_nelbo.npz")
    other = np.load(GOLDEN / "duo/duo_nelbo_scaling_repo.npz")
    alpha = np.broadcast_to(g["alpha_t64"], g["x0"].shape)
    slope = np.broadcast_to(g["dalpha_t"].astype(float), g["x0"].shape)
    raw, mask = g["raw_logits"].astype(float), int(other["mask_id"])
    possible = g["x0"] != mask
    for ours, theirs in (
        (duo(raw, g["x0"], g["xt"], alpha, slope, None), g["nelbo_f64"]),
        (duo(raw, g["x0"], g["xt"], alpha, slope, mask), other["nelbo_f64"]),
    ):
        assert np.all(np.abs(ours - theirs)[possible] <= 1e-6 * np.abs(theirs)[possible])
    at = places(100, 1000.0)
    alpha = sigmoid(at.log_snr.astype(np.longdouble))
    bound = duo(at.logits.astype(np.longdouble), at.x, at.z, alpha, -np.ones_like(alpha), MASK)
    c = np.load(GOLDEN / "duo/curriculum.npz")
    some, few = slice(0, 200, 25), slice(8, 61, 8)
    return {
        "bound": bound,
        "gpt2": {k: c[k][some] for k in ("gamma", "pt", "grad_pt")} | {"vocab": int(c["gpt2_vocab"])},
        "v97": {k: c[f"v97_{k}"][few] for k in ("gamma", "pt", "grad_pt")},
    }


def make_mdlm() -> dict[str, object]:
    for name in ("loglinear", "cosine"):
        g = np.load(GOLDEN / f"mdlm/mdlm_{name}.npz")
        mask = int(g["mask_id"])
        nll = -np.log(take(softmax(g["raw_logits"].astype(float), mask), g["x0"])) * (g["xt"] == mask)
        assert np.abs(nll - g["low_var"]).max() < 1e-4
        weight = -g["dalpha_t"].astype(float) / (1 - g["alpha_t"].astype(float))
        assert np.abs(nll * weight - g["nelbo"]).max() < 1e-4 * np.abs(g["nelbo"]).max()
    at = places(200, -1000.0)
    nll = -np.log(take(softmax(at.logits.astype(np.longdouble), MASK), at.x)) * (at.z == MASK)
    return {"low_variance": nll, "bound": nll / sigmoid(-at.log_snr.astype(np.longdouble))}


def make_esolm() -> dict[str, object]:
    """Rows of the attention masks as the integers their bits spell, first key highest."""
    g = np.load(GOLDEN / "esolm/masks.npz")
    rows = {k: [[int("".join("01"[b] for b in row), 2) for row in m] for m in g[k].astype(int)]
            for k in ("mixed2", "seq_causal", "seq_prefix_lm", "block_diff_bs4")}  # fmt: skip
    return {"length": int(g["seq_len"]), "cutoffs": g["cutoffs"], **rows}


# -- the network (dvruette/gidd-easydel, modeling_gidd_hf.py) ---------------------------------------------------------


def network(w, ids, visible, positions, c):
    """Logits (L, V) of one text; ``visible`` (L, L) is True where a query may attend to a key."""

    def norm(x, name):
        return (1 + w[name]) * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)

    def linear(x, name):
        m = w[f"{name}.weight"]
        scale = m.shape[1] ** -0.5 if c["weight_scaling"] == "fan_in" else c["weight_scaling"]
        return scale * (x @ m.T) + w.get(f"{name}.bias", 0)

    def rotated(x):
        half = x.shape[-1] // 2
        angle = positions[:, None] * c["rope_theta"] ** (-np.arange(half) / half)
        cos, sin, first, second = np.cos(angle), np.sin(angle), x[..., :half], x[..., half:]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], -1)

    h = w["model.embed_tokens.weight"][ids]
    residual, size = c["resid_scale"] / c["layers"], h.shape[-1] // c["heads"]
    for layer in range(c["layers"]):
        here = f"model.layers.{layer}."
        x = norm(h, f"{here}attn_layernorm.weight")
        q, k, v = (linear(x, f"{here}self_attn.{n}_proj") for n in "qkv")
        if c["qk_norm"]:
            q, k = norm(q, f"{here}self_attn.q_norm.weight"), norm(k, f"{here}self_attn.k_norm.weight")
        q, k, v = (y.reshape(len(ids), c["heads"], size).swapaxes(0, 1) for y in (q, k, v))
        q, k, allowed = rotated(q), rotated(k), visible
        if c["sink"]:
            k, v = (np.concatenate([w[f"{here}self_attn.{n}_bias"][:, None], y], 1) for n, y in (("k", k), ("v", v)))
            allowed = np.concatenate([np.ones((len(ids), 1), bool), visible], 1)
        scores = c["soft_cap"] * np.tanh(q @ k.swapaxes(1, 2) / np.sqrt(size) / c["soft_cap"])
        mixed = softmax(np.where(allowed, scores, -np.inf), None) @ v
        h = h + residual * linear(mixed.swapaxes(0, 1).reshape(h.shape), f"{here}self_attn.o_proj")
        up = linear(norm(h, f"{here}mlp_layernorm.weight"), f"{here}mlp.up_proj")
        h = h + residual * linear(np.maximum(up, 0) ** 2, f"{here}mlp.down_proj")
    h = norm(h, "model.norm.weight")
    return h @ w["model.embed_tokens.weight"].T if c["tied"] else c["head_scale"] * (h @ w["lm_head.weight"].T)


def make_network() -> dict[str, object]:
    from safetensors.numpy import load_file

    out = {}
    for seed, (name, options) in enumerate(NETWORKS.items()):
        folder = GOLDEN / "gidd_model" / name
        raw, io = json.loads((folder / "config.json").read_text()), np.load(folder / "io.npz")
        keys = {"layers": "num_hidden_layers", "heads": "num_attention_heads", "head_scale": "head_scaling"}
        keys |= {"qk_norm": "use_qk_norm", "sink": "attention_bias", "tied": "tie_word_embeddings"}
        keys |= {"soft_cap": "attn_soft_cap"} | {k: k for k in ("resid_scale", "weight_scaling", "rope_theta")}
        golden = {ours: raw[theirs] for ours, theirs in keys.items()}
        w = {k: v.astype(float) for k, v in load_file(folder / "model.safetensors").items()}
        every = np.ones((io["input_ids"].shape[1],) * 2, bool)
        for row, ids in enumerate(io["input_ids"]):
            where = np.arange(len(ids))
            for key, visible, positions in (
                ("full", every, where),
                ("block3d", io["mask_block3d"][row], where),
                ("random3d", io["mask_random3d"][row], where),
                ("posids", every, io["position_ids"][row]),
            ):
                expected = io[f"logits_{key}"]
                ours = network(w, ids, visible, positions, golden)
                assert np.abs(ours - expected[row]).max() <= 5e-6 * np.abs(expected).max(), (name, key)
        config = ModelConfig(**SHAPE, **options)
        shapes = {k: tuple(v.shape) for k, v in Transformer(config).state_dict().items()}
        own = {k: getattr(config, k) for k in golden}
        ids, noised = text(seed)
        made = network(weights(shapes, seed, config.tied), ids, noised[:, None] >= noised[None], np.arange(LENGTH), own)
        out[name] = {"logits": made}
    return out


# -- optimizer, schedules, shaping ------------------------------------------------------------------------------------


def laprop(p, grads, lr, b1, b2, eps, wd):
    """Parameters after every step."""
    p, nu, mu, after = np.array(p, float), 0.0, 0.0, []
    for t, g in enumerate(grads, 1):
        k1, k2 = (1 - (1 - b) / (1 - b**t) for b in (b1, b2))
        nu = k2 * nu + (1 - k2) * g**2
        mu = k1 * mu + (1 - k1) * g / (np.sqrt(nu) + eps)
        p = p - lr * (mu + wd * p)
        after.append(p)
    return np.array(after)


def make_training() -> dict[str, object]:
    for i in (0, 1):
        g = np.load(GOLDEN / f"laprop/laprop_{i}.npz")
        for k in "abc":
            options = [float(g[name]) for name in ("lr", "b1", "b2", "eps", "wd")]
            ours = laprop(g[f"p0/{k}"], g[f"grads/{k}"].astype(float), *options)
            assert np.abs(ours - g[f"params/{k}"]).max() < 5e-6
    steps = [laprop(*gradients(i), 0.03, b1, b2, 1e-8, wd)[[0, 3, 19]] for i, (b1, b2, wd) in enumerate(BETAS)]
    w, m = np.load(GOLDEN / "laprop/wsd.npz"), np.load(GOLDEN / "gidd_loss/schedule_maps.npz")
    schedules = [{"args": w[f"args_{i}"], "every": 23, "rate": w[f"lr_{i}"][::23]} for i in range(3)]
    groups = json.loads((GOLDEN / "laprop/mup_groups.json").read_text())
    kept = ("hidden_size", "num_layers", "lr", "adam_eps", "weight_decay", "ln_wd", "bias_wd", "groups")
    clock = {"time": m["time"][::5], "log_snr": m["log_snr_from_time"][::5]}
    return {"laprop": steps, "schedules": schedules, "completep": {k: groups[k] for k in kept}, "clock": clock}


def shaped(logits, temperature, top_k, top_p):
    """Probabilities of one row: temperature, then top-k, then top-p, which keeps the token that crosses p."""
    if temperature == 0:
        return np.eye(len(logits))[int(np.argmax(logits))]
    logits = logits / temperature
    if top_k:
        logits = np.where(logits < np.sort(logits)[-top_k], -np.inf, logits)
    p = softmax(logits, None)
    if top_p:
        order = np.argsort(-p, kind="stable")
        before = np.concatenate([[0.0], np.cumsum(p[order])[:-1]])
        p[order[before > top_p]] = 0
    return p / p.sum()


def make_shaping() -> dict[str, object]:
    g = np.load(GOLDEN / "gidd_sampler/topk_topp.npz")
    for i, (t, p, k) in enumerate(zip(g["temperature"], g["top_p"], g["top_k"], strict=True)):
        for row, expected in zip(g["logits"].astype(float), g[f"probs_{i}"], strict=True):
            ours = shaped(row, float(t), int(k) if k >= 1 else None, None if np.isnan(p) else float(p))
            assert np.abs(ours - expected).max() < 1e-6, i
    rows = places(300, 0.0).logits[:2]
    return {"probabilities": [[shaped(row, *how) for row in rows] for how in SHAPINGS]}


def plain(value, digits: int = 12):
    """JSON of dicts, lists and arrays; numbers to twelve digits."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, np.integer | int):
        return int(value)
    return value if isinstance(value, str) else float(f"{float(value):.{digits}g}")


MAKERS = {
    "gidd": make_gidd,
    "duo": make_duo,
    "mdlm": make_mdlm,
    "esolm": make_esolm,
    "network": make_network,
    "training": make_training,
    "shaping": make_shaping,
}


if __name__ == "__main__":
    for name, make in MAKERS.items():
        found = json.dumps(plain(make()), separators=(",", ":"))
        (HERE / f"{name}.json").write_text(found + "\n", encoding="utf-8")
        print(f"{name}.json: {len(found):,} bytes")
