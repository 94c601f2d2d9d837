//! The segmented append-only log over one journal per device.
