//! One binary; everything but fuzz/ is a module of it.

mod daemon;
