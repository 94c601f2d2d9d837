//! What members say to each other, and how they find, lose and leave each
//! other.

use super::*;

#[test]
fn frames_arrive_in_order_on_both_planes() {
    let (_, nodes) = cluster(3);
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.id != from.id) {
            connected(from, to);
        }
    }
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.id != from.id) {
            for n in 0..100 {
                for plane in [Plane::Control, Plane::Bulk] {
                    from.peers.send(to.id, plane, format!("frame {n}").into());
                }
            }
        }
    }
    for node in &nodes {
        let mut next = [[0; 2]; 4];
        while next.iter().flatten().sum::<u64>() < 400 {
            if let FromPeers::Frame { from, plane, bytes } = node.next() {
                let expected = &mut next[from.0 as usize][plane as usize];
                assert_eq!(bytes, format!("frame {expected}").into_bytes());
                *expected += 1;
            }
        }
    }
}

#[test]
fn a_large_frame_arrives_whole() {
    let (_, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    let large: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    for plane in [Plane::Control, Plane::Bulk] {
        nodes[0].peers.send(NodeId(2), plane, large.clone());
        loop {
            if let FromPeers::Frame {
                plane: on, bytes, ..
            } = nodes[1].next()
            {
                assert_eq!(on, plane);
                assert!(bytes == large, "{} bytes came", bytes.len());
                break;
            }
        }
    }
}
