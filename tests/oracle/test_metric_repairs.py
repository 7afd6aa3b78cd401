"""Fits of the repairs against netcal's own search, SciPy's bounded one and scikit-learn's logistic regression."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from mmaudit.metrics.likelihood import inverse_temperature, logistic_regression

SIZES = (20, 60, 300, 2000)


def case(seed):
    """Stated probabilities and outcomes of a model that may be too sure, too unsure, biased or wrong way round."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=SIZES[seed % 4]) * rng.choice([0.3, 1.0, 3.0, 10.0]) + rng.choice([0.0, 2.0])
    truth = scipy.special.expit(rng.choice([-1.0, 0.3, 1.0, 3.0]) * z + rng.normal())
    return scipy.special.expit(z), (rng.random(len(z)) < truth).astype(np.int64)


def beta_columns(p):
    p = np.clip(p, 2.3e-16, 1 - 2.3e-16)
    return np.column_stack([np.log(p), -np.log1p(-p), np.ones(len(p))])


def log_loss(z, y):
    return -scipy.special.log_expit(np.where(y == 1, z, -z)).mean()


@pytest.mark.parametrize("seed", range(80))
def test_bounded_weights_are_the_likeliest_that_scipy_finds(seed):
    p, y = case(seed)
    x = beta_columns(p)
    w = logistic_regression(x, y, nonnegative=(0, 1))
    theirs = scipy.optimize.minimize(
        lambda w: (log_loss(x @ w, y), x.T @ (scipy.special.expit(x @ w) - y) / len(y)),
        [1.0, 1.0, 0.0],
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000},
    )
    assert (w[:2] >= 0).all()
    # Apart from sides told apart without an error, where both end somewhere next to a loss of 0.
    assert log_loss(x @ w, y) == pytest.approx(theirs.fun, abs=1e-9 if theirs.fun > 1e-6 else 1e-6)


def test_every_side_of_the_bound_is_among_the_cases():
    sides = set()
    for seed in range(80):
        p, y = case(seed)
        sides.add(tuple(logistic_regression(beta_columns(p), y, nonnegative=(0, 1))[:2] > 0))
    assert sides == {(True, True), (True, False), (False, True), (False, False)}


def test_free_weights_are_those_of_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(400, 2)) * (1.0, 30.0), np.ones(400)])
    y = (rng.random(400) < scipy.special.expit(x @ (1.0, -0.05, 0.5))).astype(np.int64)
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, solver="newton-cholesky").fit(x, y)
    np.testing.assert_allclose(logistic_regression(x, y), theirs.coef_[0], rtol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_repairs_are_those_of_netcal_but_for_its_tolerance(seed):
    import netcal.scaling

    from mmaudit.metrics import repairs

    p, y = case(4 * seed + 3)  # 2,000 rows
    asked = np.linspace(0.01, 0.99, 99)
    for name in ("TemperatureScaling", "BetaCalibration"):
        ours, theirs = (getattr(module, name)() for module in (repairs, netcal.scaling))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="independent is deprecated", category=DeprecationWarning)
            for model in (ours, theirs):
                model.fit(p, y)
        losses = [log_loss(scipy.special.logit(np.clip(m.transform(p), 1e-15, 1 - 1e-15)), y) for m in (ours, theirs)]
        assert losses[0] <= losses[1] + 1e-9, name
        np.testing.assert_allclose(ours.transform(asked), theirs.transform(asked), atol=0.01, err_msg=name)


def test_the_factor_of_classes_is_that_of_a_bounded_search():
    rng = np.random.default_rng(2)
    for factor in (0.1, 1.0, 5.0):
        z = rng.normal(size=(500, 4))
        y = (rng.random((500, 1)) > scipy.special.softmax(factor * z, axis=1).cumsum(axis=1)).sum(axis=1).clip(0, 3)

        def loss(f, z=z, y=y):
            return -scipy.special.log_softmax(f * z, axis=1)[np.arange(500), y].mean()

        best = scipy.optimize.minimize_scalar(loss, bounds=(-20, 20), method="bounded", options={"xatol": 1e-10}).x
        assert inverse_temperature(z, y) == pytest.approx(best, abs=1e-6)


def test_what_has_no_single_best_is_answered_all_the_same():
    # One probability throughout: the three columns are one, and the share of true outcomes is what remains to be said.
    y = np.array([1, 1, 1, 0])
    x = beta_columns(np.full(4, 0.9))
    np.testing.assert_allclose(scipy.special.expit(x @ logistic_regression(x, y, nonnegative=(0, 1))), 0.75, atol=1e-7)
    # Logits that are all the same: every factor is as good.
    assert np.isfinite(inverse_temperature(np.zeros((4, 3)), np.array([0, 1, 2, 0])))
    # Told apart without an error: as sure as makes no difference, and no overflow.
    x = np.column_stack([np.linspace(-2, 2, 50), np.ones(50)])
    y = (x[:, 0] > 0).astype(np.int64)
    assert log_loss(x @ logistic_regression(x, y), y) < 1e-6
    assert inverse_temperature(np.array([[3.0, 0.0], [0.0, 3.0]]), np.array([0, 1])) > 3


def test_all_weights_may_be_bounded():
    x, y = np.linspace(1, 2, 40)[:, None], np.arange(40) % 4 == 0
    assert logistic_regression(x, y, nonnegative=(0,)).tolist() == [0.0]
    assert logistic_regression(x, ~y, nonnegative=(0,))[0] > 0
