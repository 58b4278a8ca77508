//! The Burn forecaster: features, network, training, evaluation, baselines, versions.
