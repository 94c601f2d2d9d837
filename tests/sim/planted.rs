//! That the checks find what is planted.
