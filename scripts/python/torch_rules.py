"""One training step of every rule that scripts/compare-pytorch measures, in PyTorch, and the optimisers of a config.

Blocks learn from their own losses as in burn-forward: a block's input is detached, its loss goes backward before the next block
runs, and one step of the optimiser at the end updates everything. A step returns the mean of the blocks' losses as a tensor.

Sources: Gong, Li and Abdulla 2025, arXiv 2501.09238 (`mono-forward`); Hinton 2022, arXiv 2212.13345, and the supervised recipe of
its author's program (`forward-forward`, preset `hinton`).
"""

import torch
from torch.nn import functional as F

from torch_networks import CLASSES, ConfigError, rms, settings


def local(reference, x, labels):
    """`backprop`, which is one block, and `mono-forward`: cross-entropy of a classifier on every block."""
    losses = []
    for block, head in zip(reference.blocks, reference.heads):
        h = block(x)
        loss = F.cross_entropy(head(h), labels)
        loss.backward()
        losses.append(loss.detach())
        x = h.detach()
    return torch.stack(losses).mean()


def overlay(x, label):
    """Rows whose first features are a label."""
    return torch.cat([label, x[:, CLASSES:]], 1)


def wrong_labels(logits, labels):
    """Labels drawn from the prediction without the true class."""
    chances = logits.detach().scatter(1, labels[:, None], float("-inf")).softmax(1)
    return torch.multinomial(chances, 1).squeeze(1)


def forward_forward(reference, x, labels, strength=0.03, momentum=0.9, weight=0.5):
    """The preset `hinton`: goodness `sum h^2` with the width as its threshold, hard negatives, peer normalisation."""
    rows, blocks = len(x), reference.blocks
    with torch.no_grad():
        h, features = overlay(x, x.new_full((rows, CLASSES), 1 / CLASSES)), []
        for block in blocks:
            h = block(h)
            features.append(rms(h))
    logits = reference.softmax(torch.cat(features[1:] or features, 1))
    F.cross_entropy(logits, labels).backward()
    wrong = wrong_labels(logits, labels)
    # Positive rows first, then as many negative ones.
    x = torch.cat([overlay(x, F.one_hot(of, CLASSES).float()) for of in (labels, wrong)])
    losses = []
    for i, block in enumerate(blocks):
        z, h = block.trace(x)
        goodness, threshold = h.square().sum(1), h.shape[1]
        pairs = F.softplus(threshold - goodness[:rows]) + F.softplus(goodness[rows:] - threshold)
        peer = getattr(reference, f"peer{i}")
        peer.mul_(momentum).add_(h[:rows].detach().mean(0), alpha=1 - momentum)
        push = (peer - peer.mean()).detach()
        loss = weight * pairs.mean() + (z[:rows] * push).sum() * (strength / rows)
        loss.backward()
        losses.append(loss.detach())
        x = h.detach()
    return torch.stack(losses).mean()


def rule(config):
    """The step of the config's rule, and whether samples enter it as rows."""
    part = config["rule"]
    if part["name"] == "backprop":
        settings(part, "rule", ["name"])
        return local
    if part["name"] == "mono-forward":
        settings(part, "rule", ["name"], readout="last")
        return local
    if part["name"] == "forward-forward" and part.get("preset", "hinton") == "hinton":
        settings(part, "rule", ["name"], preset="hinton")
        return forward_forward
    raise ConfigError(f"rule: {part}; the reference knows backprop, mono-forward and forward-forward with the preset hinton")


def sgd(groups, part, fused):
    return torch.optim.SGD(
        groups,
        lr=part["lr"],
        momentum=part.get("momentum", 0.9),
        dampening=part.get("dampening", 0.0),
        fused=fused or None,
    )


def adam(groups, part, fused):
    return torch.optim.Adam(groups, lr=part["lr"], betas=tuple(part.get("betas", (0.9, 0.999))), eps=1e-8, fused=fused or None)


def optimizers(config, reference, fused):
    """The optimisers of the network and, under Forward-Forward, of its softmax head, which has settings of its own."""
    known = {"momentum": 0.9, "dampening": 0.0, "betas": (0.9, 0.999), "weight-decay": 0.0, "decay-bias": True}
    part = settings(config["optimizer"], "optimizer", ["name", "lr"], **known)
    makers = {"sgd": sgd, "adam": adam}
    if part["name"] not in makers:
        raise ConfigError(f"optimizer.name: {part['name']}; the reference knows: {', '.join(makers)}")
    own = list(reference.softmax.parameters()) if hasattr(reference, "softmax") else []
    taken = {id(p) for p in own}
    plain = reference.without_decay()

    def grouped(parameters, decay, decays_bias):
        kept = [p for p in parameters if decays_bias or id(p) not in plain]
        free = [p for p in parameters if not decays_bias and id(p) in plain]
        groups = [(kept, decay), (free, 0.0)]
        return [{"params": params, "weight_decay": decay} for params, decay in groups if params]

    rest = [p for p in reference.parameters() if id(p) not in taken]
    made = [makers[part["name"]](grouped(rest, part["weight-decay"], part["decay-bias"]), part, fused)]
    if own:
        made.append(sgd(grouped(own, 0.003, False), {"lr": 0.1, "momentum": 0.9, "dampening": 0.9}, fused))
    return made
