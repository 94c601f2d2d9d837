//! What a coordinator of transactions is told about how to behave.

/// Named after Kafka's settings of the same meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest that a producer may ask its transactions to stay open.
    /// Readers of what is committed wait for the oldest that is open.
    pub timeout_ms_max: u32,
    /// How long a transactional id is remembered that nobody uses.
    pub expiration_ms: u64,
    /// How often ids are looked through for those to be forgotten.
    pub sweep_every_ms: u64,
    /// How long to wait before a partition that did not take the end of a
    /// transaction is told again. Nothing but that partition waits for it.
    pub retry_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout_ms_max: 15 * 60 * 1000,
            expiration_ms: 7 * 24 * 60 * 60 * 1000,
            sweep_every_ms: 10 * 60 * 1000,
            retry_ms: 250,
        }
    }
}
