//! Planted faults: each is found by a known seed.
