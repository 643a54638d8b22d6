"""Pruning torch modules: masks that follow the optimizer, calibration by hooks, sparse layers for inference."""
import copy
import io
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import sparsecore  # noqa: E402
import sparsecore.pruning as pr  # noqa: E402
from sparsecore.integrations import torch as sct  # noqa: E402


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))


def convnet(seed=0, bias=True):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=bias), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(8, 6, 1, bias=bias), nn.ReLU(), nn.Conv2d(6, 5, 3, stride=2, dilation=1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(5 * 9, 4))


def data(n=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 20, generator=generator)
    return x, (x[:, :4] + 0.3 * torch.randn(n, 4, generator=generator)).argmax(1)


def train(net, steps=30, pruner=None, attach=True):
    x, y = data()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    if pruner is not None and attach:
        pruner.attach(optimizer)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    if pruner is not None and attach:
        pruner.detach()
    return net


def zeros(layer):
    return int((layer.weight == 0).sum())


def test_masks_follow_the_optimizer_along_a_schedule():
    net = mlp()
    pruner = sct.Pruner(net, 0.9, schedule=pr.cubic(0.9, 20), exclude="4")
    train(net, 30, pruner)
    assert zeros(net[0]) == round(0.9 * 1280) and zeros(net[2]) == round(0.9 * 2048) and zeros(net[4]) == 0
    train(net, 3)
    assert zeros(net[0]) < round(0.9 * 1280)  # detached: weights are free again


@pytest.mark.parametrize("score", ["movement", "taylor", "snip"])
def test_scores_that_read_gradients(score):
    net = mlp()
    train(net, 12, sct.Pruner(net, 0.5, score=score, schedule=pr.one_shot(0.5, begin=5), every=2))
    assert zeros(net[0]) == 640


def test_global_budget_meets_the_total():
    net = mlp()
    sct.Pruner(net, 0.8, budget=pr.global_).update(0.8)
    total = sum(layer.weight.numel() for layer in net if isinstance(layer, nn.Linear))
    assert sum(zeros(layer) for layer in net if isinstance(layer, nn.Linear)) == round(0.8 * total)


def test_calibration_by_hooks_is_the_gram_of_the_inputs():
    net = mlp()
    x, _ = data()
    stats = sct.calibrate(net, torch.split(x, 33))
    np.testing.assert_allclose(stats["0"].gram, x.double().T @ x.double(), rtol=1e-6)
    hidden = torch.relu(net[0](x)).detach().double()
    np.testing.assert_allclose(stats["2"].gram, hidden.T @ hidden, rtol=1e-5)
    assert net.training and stats["4"].count == 200


def test_calibrated_convolution_predicts_its_output_error():
    net = convnet(bias=False)
    x = torch.randn(10, 3, 14, 14)
    stats = sct.calibrate(net, [(x, None)])
    W = net[0].weight.detach().numpy()
    W_hat = pr.prune({"w": W}, 0.5).state_dict()["w"]
    other = copy.deepcopy(net[0])
    other.weight.data = torch.from_numpy(W_hat)
    lost = float(((net[0](x) - other(x)) ** 2).sum().detach())
    assert pr.error(W, W_hat, stats["0"], damp=0) == pytest.approx(lost, rel=1e-4)


@pytest.mark.parametrize("method", ["wanda", "obs", "sparsegpt", "alps"])
def test_one_shot_with_every_solver(method):
    net = train(mlp())
    x, _ = data()
    expected = net(x).detach()
    plain = sct.Pruner(copy.deepcopy(net), 0.6).prune().module(x)
    pruner = sct.Pruner(net, 0.6, score=method).calibrate([x]).prune()
    assert zeros(net[0]) == 768 and pruner.report["0"]["error"] > 0
    if method != "wanda":
        assert ((net(x) - expected) ** 2).mean() < ((plain - expected) ** 2).mean()
    train(net, 3, pruner)
    assert zeros(net[0]) == 768


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_sparse_layers_give_the_dense_results(batch):
    net = mlp()
    sct.Pruner(net, 0.9).update(0.9)
    sparse = nn.Sequential(*(sct.SparseLinear.from_dense(m) if isinstance(m, nn.Linear) else m for m in net))
    x = torch.randn(batch, 20)
    torch.testing.assert_close(sparse(x), net(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sparse(x[:, None, :]), net(x[:, None, :]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sparse_convolutions_give_the_dense_results(dtype):
    net = convnet().to(dtype)
    sct.Pruner(net, 0.7).update(0.7)
    sparse = nn.Sequential(*(sct.SparseConv2d.from_dense(m) if isinstance(m, nn.Conv2d) else m for m in net))
    x = torch.randn(4, 3, 14, 14, dtype=dtype)[:, :, :, :14]
    torch.testing.assert_close(sparse[:6](x), net[:6](x), rtol=1e-5, atol=1e-6)


class TestSparseConvolutions:
    """One of patches and one of single pixels, pruned."""

    @staticmethod
    def pair():
        net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(8, 6, 1)).eval()
        sct.Pruner(net, 0.7).update(0.7)
        return net.requires_grad_(False), nn.Sequential(*(
            sct.SparseConv2d.from_dense(m) if isinstance(m, nn.Conv2d) else m for m in copy.deepcopy(net)))

    @pytest.mark.parametrize("how", ["pickle", "deepcopy", "save", "state"])
    def test_travel(self, how):
        net, sparse = self.pair()
        x = torch.randn(2, 3, 9, 9)
        expected = sparse(x)
        torch.testing.assert_close(expected, net(x), rtol=1e-5, atol=1e-6)
        if how == "pickle":
            other = pickle.loads(pickle.dumps(sparse))
        elif how == "deepcopy":
            other = copy.deepcopy(sparse)
        elif how == "save":
            file = io.BytesIO()
            torch.save(sparse, file)
            other = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
        else:
            blank = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(8, 6, 1))
            sct.Pruner(blank, 0.5).update(0.5)
            other = nn.Sequential(*(sct.SparseConv2d.from_dense(m) if isinstance(m, nn.Conv2d) else m for m in blank))
            other.load_state_dict(sparse.state_dict())
        assert torch.equal(other(x), expected)

    @pytest.mark.parametrize("batch", [0, 1, 3])
    @pytest.mark.parametrize("kernel", [None, "sparse", "serial", "dense", "blas"])
    def test_any_batch_by_any_kernel(self, batch, kernel):
        net, sparse = self.pair()
        for layer in (sparse[0], sparse[2]):
            layer.kernels = {} if kernel is None else {1: kernel}
        x = torch.randn(batch, 9, 9, 3).permute(0, 3, 1, 2)  # channels last
        torch.testing.assert_close(sparse(x), net(x), rtol=1e-5, atol=1e-6)

    def test_gradients_flow_to_the_input(self):
        grads = []
        for module in self.pair():
            x = torch.ones(2, 3, 9, 9).requires_grad_()
            (module(x) ** 2).sum().backward()
            grads.append(x.grad)
        torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-6)

    def test_images_of_another_shape_are_refused(self):
        _, sparse = self.pair()
        with pytest.raises(ValueError, match=r"x has shape \(2, 4, 9, 9\).*\(batch, 3, height, width\)"):
            sparse(torch.zeros(2, 4, 9, 9))

    def test_finalized(self):
        net, _ = self.pair()
        pruner = sct.Pruner(net, 0.7)
        pruner.update(0.7)
        x = torch.randn(2, 3, 9, 9)
        fast = pruner.finalize(batches=(1,), samples=x)
        torch.testing.assert_close(fast(x), net(x), rtol=1e-5, atol=1e-6)
        for entry in pruner.report:
            assert entry["dense fallback"] == (entry["kernel@1"] in ("dense", "blas"))


def test_sparse_layers_are_differentiable_in_their_input():
    layer = nn.Linear(20, 7)
    sct.Pruner(layer, 0.5).update(0.5)
    sparse = sct.SparseLinear.from_dense(layer)
    grads = []
    for f in (layer, sparse):
        x = data(9)[0].requires_grad_()
        (f(x) ** 2).sum().backward()
        grads.append(x.grad)
    torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-6)


def finalized():
    net = mlp()
    pruner = sct.Pruner(net, 0.9)
    pruner.update(0.9)
    fast = pruner.finalize(batches=(1, 16))
    # Which product is faster depends on the machine; what follows is about the sparse one.
    for i in (0, 2, 4):
        fast[i] = sct.SparseLinear.from_dense(net[i])
    return net, fast


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "save", "state"])
def test_finalized_modules_travel(how):
    _, fast = finalized()
    x = data()[0]
    expected = fast(x)
    if how == "pickle":
        other = pickle.loads(pickle.dumps(fast))
    elif how == "deepcopy":
        other = copy.deepcopy(fast)
    elif how == "save":
        file = io.BytesIO()
        torch.save(fast, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    else:
        other = finalized()[1]
        blank = mlp(1)
        sct.Pruner(blank, 0.5).update(0.5)
        for i in (0, 2, 4):
            other[i] = sct.SparseLinear.from_dense(blank[i])
        other.load_state_dict(fast.state_dict())
    assert torch.equal(other(x), expected)


def test_finalize_reports_its_choice_and_changes_nothing_else():
    net = mlp()
    pruner = sct.Pruner(net, 0.9)
    pruner.update(0.9)
    before = copy.deepcopy(net.state_dict())
    fast = pruner.finalize(batches=(1, 16))
    x = data()[0]
    torch.testing.assert_close(fast(x), net(x), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values()))
    for entry in pruner.report:
        chosen = [entry["kernel@1"], entry["kernel@16"]]
        assert entry["dense fallback"] == chosen.count("dense") + chosen.count("blas")
        kept_dense = isinstance(fast.get_submodule(entry["name"]), nn.Linear)
        assert kept_dense == (chosen == ["dense", "dense"])


def test_a_layer_chosen_dense_for_some_batches_uses_both():
    layer = nn.Linear(20, 6)
    sct.Pruner(layer, 0.5).update(0.5)
    sparse = sct.SparseLinear.from_dense(layer)
    sparse.kernels = {1: "sparse", 64: "dense"}
    for n in (1, 3, 100):
        x = data(n)[0]
        torch.testing.assert_close(sparse(x), layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pattern", [pr.Rows(), pr.Columns()])
def test_structured_pruning_shrinks_an_mlp(pattern):
    net = train(mlp())
    pruner = sct.Pruner(net, 0.5, pattern=pattern, exclude="4")
    pruner.update(0.5)
    x = data()[0]
    small = sct.shrink(net)
    torch.testing.assert_close(small(x), net(x), rtol=1e-4, atol=1e-5)
    if isinstance(pattern, pr.Rows):
        assert small[0].weight.shape == (32, 20) and small[2].weight.shape == (16, 32)
        assert small[4].weight.shape == (4, 16)
    else:
        assert small[0].weight.shape == (32, 20) and small[2].weight.shape == (32, 32)
    torch.testing.assert_close(pruner.finalize(batches=(4,))(x), net(x), rtol=1e-4, atol=1e-5)


def test_structured_pruning_shrinks_a_convnet():
    net = convnet()
    sct.Pruner(net, 0.5, pattern=pr.Rows(), exclude="8").update(0.5)
    x = torch.randn(3, 3, 14, 14)
    small = sct.shrink(net)
    assert small[0].weight.shape == (4, 3, 3, 3) and small[3].weight.shape == (3, 4, 1, 1)
    assert small[8].in_features == small[5].out_channels * 9
    torch.testing.assert_close(small(x), net(x), rtol=1e-4, atol=1e-5)


def test_units_that_became_constants_move_into_the_next_bias():
    net = mlp()
    with torch.no_grad():
        net[0].weight[:40] = 0
        net[0].bias[:40] = torch.linspace(-1, 1, 40)
    small = sct.shrink(net)
    assert small[0].out_features == 24
    torch.testing.assert_close(small(data()[0]), net(data()[0]), rtol=1e-4, atol=1e-5)


def test_rewinding_ends_sparse_and_started_from_the_same_weights():
    net = mlp()
    starts = []

    def run(module, pruner):
        starts.append({k: v.clone() for k, v in module.state_dict().items()})
        train(module, 5, pruner)

    sct.prune_with_rewinding(net, run, 0.8, rounds=2)
    assert zeros(net[0]) == 1024 and len(starts) == 3
    kept = starts[2]["0.weight"] != 0
    assert torch.equal(starts[2]["0.weight"][kept], starts[0]["0.weight"][kept])
    assert int((~(starts[1]["0.weight"] != 0)).sum()) == round((1 - 0.2**0.5) * 1280)


def test_to_model_and_back():
    net = mlp()
    pruner = sct.Pruner(net, 0.9)
    pruner.update(0.9)
    model = pruner.to_model()
    other = sct.load_pruned(mlp(5), model)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values()))
    assert model.report["0.weight"]["nnz"] == 128


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match="1.2"):
        sct.Pruner(mlp(), 1.2)
    with pytest.raises(ValueError, match="include"):
        sct.Pruner(nn.ReLU(), 0.5)
    sparse = sct.SparseLinear.from_dense(nn.Linear(4, 3))
    with pytest.raises(ValueError, match="5 features.*4 columns"):
        sparse(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="wanda"):
        sct.Pruner(mlp(), 0.5, score="wanda").prune()


class TestSparseSequential:
    """A chain of sparse layers is the same module as nn.Sequential to everybody but the clock."""

    @staticmethod
    def pair(kernels=None):
        net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 16),
                            nn.ReLU(), nn.ReLU(), nn.Linear(16, 4)).eval().requires_grad_(False)
        sct.Pruner(net, 0.8).update(0.8)
        chain = sct.SparseSequential(*(sct.SparseLinear.from_dense(m) if isinstance(m, nn.Linear) and i != 5 else m
                                       for i, m in enumerate(net))).eval()
        for layer in chain:
            if isinstance(layer, sct.SparseLinear):
                layer.kernels = dict(kernels or {})
        return net, chain

    @pytest.mark.parametrize("kernels", [None, {1: "dense", 100: "sparse"}, {1: "serial", 100: "dense"},
                                         {1: "blas", 100: "serial"}], ids=str)
    @pytest.mark.parametrize("batch", [0, 1, 7, 300])
    def test_same_values(self, batch, kernels):
        net, chain = self.pair(kernels)
        x = torch.randn(batch, 20)
        torch.testing.assert_close(chain(x), net(x), rtol=1e-5, atol=1e-6)
        assert not net[0].weight.is_sparse and torch.equal(chain(x), chain(x))
        torch.testing.assert_close(chain(x[:, None]), net(x[:, None]), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("batch", [0, 1, 7, 300])
    def test_the_bits_of_layers_called_one_by_one(self, batch):
        _, chain = self.pair()
        x, got = torch.randn(batch, 20), []
        for threads in (1, 2, 3):
            with sparsecore.threads(threads):
                got += [chain(x), nn.Sequential.forward(chain, x)]
        for y in got:
            assert y.shape == (batch, 4) and torch.equal(y, got[0])

    @pytest.mark.parametrize("x", [torch.randn(20, 5).T, torch.randn(5, 40)[:, ::2], torch.randn(10, 20)[::2],
                                   torch.randn(1, 20).expand(5, 20)], ids=["turned", "columns", "rows", "expanded"])
    def test_input_of_any_strides(self, x):
        net, chain = self.pair()
        torch.testing.assert_close(chain(x), net(x), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(chain[0](x), net[0](x), rtol=1e-5, atol=1e-6)

    def test_input_of_other_types(self):
        net, chain = (module[:4] for module in self.pair())
        x = torch.randn(3, 20)
        y = chain(x.double())  # of the wider type, where nn.Linear refuses
        assert y.dtype == torch.float64
        torch.testing.assert_close(y, net.double()(x.double()), rtol=1e-6, atol=1e-7)
        assert chain(x.half()).dtype == torch.float32
        torch.testing.assert_close(chain(x.half()), chain(x.half().float()))
        with pytest.raises(TypeError, match="BFloat16"):
            chain(x.bfloat16())

    def test_layers_of_double_precision(self):
        net, chain = self.pair()
        x = torch.randn(3, 20).double()
        torch.testing.assert_close(chain.double()(x), net.double()(x), rtol=1e-12, atol=1e-13)

    def test_a_kernel_chosen_later_is_taken(self):
        net, chain = self.pair({1: "sparse"})
        x = torch.randn(1, 20)
        chain(x)
        chain[0].choose(1, "dense")
        chain[0].dense_product = lambda x: torch.zeros(1, 64)
        assert not torch.equal(chain(x), net(x))

    def test_one_dropout_in_training_is_called(self):
        _, chain = self.pair()
        chain[2].train()
        x = data(50)[0]
        torch.manual_seed(0)
        assert not torch.equal(chain(x), chain(x))

    @pytest.mark.parametrize("how", ["pickle", "deepcopy", "save"])
    def test_travels_after_use(self, how):
        _, chain = self.pair({1: "sparse", 8: "dense"})
        x = torch.randn(1, 20)
        expected = chain(x)
        if how == "save":
            file = io.BytesIO()
            torch.save(chain, file)
            other = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
        else:
            other = copy.deepcopy(chain) if how == "deepcopy" else pickle.loads(pickle.dumps(chain))
        assert isinstance(other, sct.SparseSequential) and torch.equal(other(x), expected)
        assert other[0].values.data_ptr() != chain[0].values.data_ptr()

    def test_gradients_flow_to_the_input(self):
        grads = []
        for module in self.pair():
            x = data(9)[0].requires_grad_()
            (module(x) ** 2).sum().backward()
            grads.append(x.grad)
        torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-6)

    def test_dense_weights_with_gradients_among_the_sparse(self):
        _, chain = self.pair()
        chain[5].weight.requires_grad_()
        chain(data(9)[0]).sum().backward()
        assert chain[5].weight.grad.abs().sum() > 0

    def test_hooks_are_called(self):
        _, chain = self.pair()
        x = data(3)[0]
        expected, seen = chain(x), []
        chain[1].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
        chain[8].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
        torch.testing.assert_close(chain(x), expected)
        assert seen == [(3, 64), (3, 16)]

    def test_replaced_and_loaded_layers_are_seen(self):
        net, chain = self.pair()
        x = data(5)[0]
        chain(x)
        other, _ = self.pair()
        sct.Pruner(other, 0.5).update(0.5)
        chain[0] = sct.SparseLinear.from_dense(other[0])
        net[0] = other[0]
        torch.testing.assert_close(chain(x), net(x), rtol=1e-5, atol=1e-6)
        chain[3].load_state_dict(sct.SparseLinear.from_dense(other[3]).state_dict())
        net[3] = other[3]
        torch.testing.assert_close(chain(x), net(x), rtol=1e-5, atol=1e-6)

    def test_wrong_width_is_refused(self):
        with pytest.raises(ValueError, match="19 features.*20 columns"):
            self.pair()[1](torch.zeros(1, 19))

    def test_training_mode_calls_every_layer(self):
        _, chain = self.pair()
        torch.manual_seed(0)
        assert not torch.equal(chain.train()(data(50)[0]), chain.eval()(data(50)[0]))

    def test_finalize_makes_one(self):
        net = mlp()
        pruner = sct.Pruner(net, 0.9)
        pruner.update(0.9)
        fast = nn.ModuleDict({"body": pruner.finalize(batches=(1,))})["body"]
        assert [name for name, _ in fast.named_children()] == ["0", "1", "2", "3", "4"]
        if any(isinstance(layer, sct.SparseLinear) for layer in fast):
            assert isinstance(fast, sct.SparseSequential)
        for name in ("0", "2", "4"):
            assert pruner.report[name]["kernel@1"] in ("dense", "blas", "sparse", "serial")


def test_sparse_layers_take_no_more_threads_than_torch(monkeypatch):
    seen = []
    layer = sct.SparseLinear.from_dense(nn.Linear(600, 400))
    monkeypatch.setattr(sct, "_threads_for", lambda *a, real=sct._threads_for: seen.append(real(*a)) or seen[-1])
    before = torch.get_num_threads()
    try:
        for wanted in (1, 2):
            torch.set_num_threads(wanted)
            layer(torch.zeros(1, 600))
            assert seen[-1] <= wanted
    finally:
        torch.set_num_threads(before)


def test_numpy_takes_a_dense_product_only_with_as_few_threads(monkeypatch):
    monkeypatch.setattr(sct, "_numpy_threads", lambda: torch.get_num_threads() + 1)
    assert "blas" not in sct._other_kinds(1)
    monkeypatch.setattr(sct, "_numpy_threads", lambda: 1)
    assert "blas" in sct._other_kinds(1) and "blas" not in sct._other_kinds(8)
