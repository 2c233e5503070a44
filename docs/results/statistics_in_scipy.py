"""The values that the tests of `ast compare`'s statistics are held against. Needs scipy and numpy."""
import numpy as np
import scipy
from scipy.stats import bootstrap, permutation_test

samples = {
    "SIX": [0.7, 1.2, 0.3, 0.9, 0.4, 1.0],
    "SKEWED": [0.1, 0.2, 0.15, 3.0, 0.4, 0.05, 0.3, 1.1],
    "MIXED": [0.5, -0.2, 0.3, 0.1, -0.4, 0.6, 0.2],
}
print("scipy", scipy.__version__)
for name, values in samples.items():
    x = np.array(values)
    interval = bootstrap((x,), np.mean, n_resamples=1_000_000, batch=10_000, method="BCa", random_state=0).confidence_interval
    p = permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    print(f"{name}: BCa [{interval.low:.4f}, {interval.high:.4f}], p {p}")
