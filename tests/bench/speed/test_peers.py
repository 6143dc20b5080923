"""Models of other libraries: of the size asked, scored on the answer alone, decoded greedily at full width."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.architectures import SequenceSpec
from bench.speed.peers import (
    BERT,
    GPT2,
    PEERS,
    T5,
    BareLSTM,
    Peer,
    PeerSize,
    XTransformer,
    count_peer_flops,
    count_peer_parameters,
    fit_peer,
)

SPEC = SequenceSpec(
    vocabulary=20,
    prompt_width=10,
    answer_width=6,
    pad=0,
    bos=1,
    eos=-1,
    mask=3,
    digits=tuple(range(4, 14)),
    reversed=True,
)
SMALL = PeerSize(layers=2, heads=2, experts=2, width=8)
TARGET = 100_000


def symbols(*shape: int) -> Tensor:
    return torch.randint(4, 20, shape, generator=torch.Generator().manual_seed(0))


def build(peer: type[Peer]) -> Peer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return peer(SMALL, SPEC).eval()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_has_the_size_asked_and_learns(peer: type[Peer]) -> None:
    size = fit_peer(peer, PeerSize(layers=3, heads=8, experts=4, width=1), SPEC, TARGET)
    assert size.layers == 3
    assert abs(count_peer_parameters(peer, size, SPEC) / TARGET - 1) < 0.02
    model = peer(size, SPEC)
    assert sum(p.numel() for p in model.parameters()) == count_peer_parameters(peer, size, SPEC)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model.loss(symbols(4, 10), symbols(4, 6))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_flops_grow_with_the_layers(peer: type[Peer]) -> None:
    deeper = PeerSize(layers=4, heads=2, experts=2, width=8)
    assert 1.5 < count_peer_flops(peer, deeper, SPEC) / count_peer_flops(peer, SMALL, SPEC) < 2.5


def test_flops_are_those_of_the_formula() -> None:
    width, read = SMALL.width, SPEC.prompt_width + SPEC.answer_width - 1
    cells = SMALL.layers * 2 * 4 * width * width * read
    head = width * SPEC.vocabulary * read
    assert count_peer_flops(BareLSTM, SMALL, SPEC) == pytest.approx(6 * (cells + head), rel=0.1)


def test_the_answer_alone_is_scored() -> None:
    prompt, answer = symbols(3, 10), symbols(3, 6)
    gpt2 = build(GPT2)
    logits = gpt2.model(input_ids=torch.cat([prompt, answer], dim=1)).logits[:, 9:-1]
    torch.testing.assert_close(gpt2.loss(prompt, answer), F.cross_entropy(logits.flatten(0, 1), answer.flatten()))
    bert = build(BERT)
    canvas = torch.cat([prompt, torch.full_like(answer, SPEC.mask)], dim=1)
    logits = bert.model(input_ids=canvas).logits[:, 10:]
    torch.testing.assert_close(bert.loss(prompt, answer), F.cross_entropy(logits.flatten(0, 1), answer.flatten()))


@pytest.mark.parametrize("peer", [BareLSTM, XTransformer], ids=lambda peer: peer.name)
def test_a_language_model_is_scored_on_what_follows(peer: type[Peer]) -> None:
    """The last symbol is read by nobody, so that it may be any; each other one moves what follows."""
    model, prompt, answer = build(peer), symbols(3, 10), symbols(3, 6)
    logits = model.logits(torch.cat([prompt, answer], dim=1)[:, :-1])[:, -6:]
    torch.testing.assert_close(model.loss(prompt, answer), F.cross_entropy(logits.flatten(0, 1), answer.flatten()))


def test_answers_are_greedy_and_at_full_width() -> None:
    prompt = symbols(3, 10)
    gpt2 = build(GPT2)
    written = gpt2.generate(prompt, 6)
    assert written is not None
    assert written.shape == (3, 6)
    assert torch.equal(gpt2.model(input_ids=torch.cat([prompt, written], dim=1)).logits[:, 9:-1].argmax(-1), written)
    t5 = build(T5)
    written = t5.generate(prompt, 6)
    assert written is not None
    assert torch.equal(t5.model(input_ids=prompt, labels=written.contiguous()).logits.argmax(-1), written)
    assert build(BERT).generate(prompt, 6) is None
