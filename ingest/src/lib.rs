//! Every door an observation comes in by.
