//! The Kafka door and what stands behind it: opened together, closed together.

use super::super::config::Config;
use super::super::refused::Refused;
use crate::clock::Clock;
use crate::entropy::MachineEntropy;
use crate::peers::tls::DoorTls;
use crate::ports::kafka::access::SuperUsers;
use crate::ports::kafka::{self, Counts, Means, Opening, Threads};
use crate::streams::coordinators::{Groups, Transactions};
use crate::streams::follow::Between;
use crate::streams::{Site, Streams, transactions};
use std::net::SocketAddr;
use std::sync::Arc;

/// An open door.
pub struct Running {
    gate: kafka::Running,
    groups: Groups,
    transactions: Transactions,
    threads: Threads,
}

pub fn open(
    config: &Config,
    listen: SocketAddr,
    tls: Option<&DoorTls>,
    (site, streams, between): (&Arc<Site>, &Streams, &Between),
    clock: &Arc<dyn Clock>,
    (opening, counts): (Opening, Arc<Counts>),
) -> Result<Running, Refused> {
    let threads = Threads::start().map_err(Refused::machine("make the Kafka door's threads"))?;
    let groups = Groups::open(
        site.clone(),
        streams.clone(),
        clock.clone(),
        threads.handle(),
    );
    let told = groups.clone();
    let transactions = Transactions::open(
        site.clone(),
        (streams.clone(), between.clone()),
        clock.clone(),
        transactions::Settings::default(),
        Box::new(move |partition, who, is_committed| {
            let groups = told.clone();
            Box::pin(async move {
                let (producer, epoch) = (who.id, who.epoch);
                let ended = groups.ended(partition, producer, epoch, is_committed);
                if let Err(why) = ended.await {
                    tracing::debug!(%partition, ?why, "no coordinator heard of a transaction's end");
                }
            })
        }),
        threads.handle(),
    );
    let wanted = &config.kafka;
    let super_users = wanted.super_users.iter().map(String::as_str);
    let means = Means {
        site: site.clone(),
        streams: streams.clone(),
        groups: groups.clone(),
        transactions: transactions.clone(),
        clock: clock.clone(),
        entropy: Arc::new(MachineEntropy),
        folder: config.data.clone(),
        super_users: SuperUsers::named(super_users),
    };
    let door = kafka::Door::new(means).map_err(Refused::machine("draw random numbers"))?;
    let mut settings = kafka::Settings::new(listen);
    settings.tls = tls.map(DoorTls::current);
    settings.tls_only = wanted.tls.as_ref().is_some_and(|tls| tls.is_required);
    settings.needs_sasl = wanted.needs_sasl;
    let gate = Arc::new(door)
        .open(settings, opening, counts, threads.handle())
        .map_err(Refused::door("kafka", listen))?;
    Ok(Running {
        gate,
        groups,
        transactions,
        threads,
    })
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.gate.address()
    }

    pub fn renew_tls(&self, tls: &DoorTls) {
        self.gate.renew_tls(Some(tls.current()));
    }

    /// The door first, so that what is asked already is answered as usual. Not
    /// to be called on a runtime's thread.
    pub fn close(self) {
        self.gate.close();
        self.threads.handle().block_on(async {
            self.transactions.close().await;
            self.groups.close().await;
        });
        self.threads.end();
    }
}
