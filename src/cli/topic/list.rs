//! `dolmen topic list`: which topics there are, and how they stand.

use super::shape::{self, Shape};
use crate::cli::kafka::Cluster;
use crate::cli::table::Table;
use crate::cli::{Failure, print, print_json};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// Also those that the cluster keeps for itself
    #[arg(long)]
    internal: bool,
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let mut shapes = shape::all(cluster)?;
    shapes.retain(|shape| args.internal || !shape.is_internal);
    match is_json {
        true => print_json(&shapes.iter().map(for_programs).collect()),
        false => print(&for_people(&shapes)),
    }
}

fn for_people(shapes: &[Shape]) -> String {
    if shapes.is_empty() {
        return "no topics; dolmen topic create NAME makes one\n".into();
    }
    let mut table = Table::with_columns(["topic", "partitions", "replicas", "state"]);
    for shape in shapes {
        table.row([
            &shape.name,
            &shape.partitions.len().to_string(),
            &shape.replicas().to_string(),
            &shape.state(),
        ]);
    }
    table.to_string()
}

fn for_programs(shape: &Shape) -> Value {
    let leaderless = shape.partitions.iter().filter(|one| one.leader.is_none());
    let behind = shape.partitions.iter().filter(|one| one.is_behind());
    json!({
        "topic": shape.name, "id": shape.id.to_string(), "internal": shape.is_internal,
        "partitions": shape.partitions.len(), "replicas": shape.replicas(),
        "without_leader": leaderless.count(), "with_replicas_behind": behind.count(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::{partition, shape};
    use super::*;

    #[test]
    fn each_topic_has_a_line() {
        let shapes = [shape(vec![
            partition(0, 1, &[1, 2, 3]),
            partition(1, -1, &[2]),
        ])];
        let shown = "topic   partitions  replicas  state\n\
                     orders  2           3         1 of 2 without a leader, 1 of 2 with replicas \
                     behind\n";
        assert_eq!(for_people(&shapes), shown);
        let told = for_programs(&shapes[0]);
        assert_eq!(told["without_leader"], 1, "{told}");
        assert!(for_people(&[]).contains("dolmen topic create"));
    }
}
