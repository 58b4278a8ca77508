//! Group-reads observations, keeps station windows, runs the model, commits forecasts.
