//! What a new cluster's tree holds: ZooKeeper's own nodes, and the system's.

use super::acl::Permissions;
use super::{State, access, node, paths, settings, tree};

impl State {
    /// The nodes that are there from the start. They do not count as created,
    /// so that the first sequential node beside them has number 0.
    pub(super) fn lay_out(&mut self) {
        let open = Permissions::ALL;
        let read_only = Permissions::READ;
        let fixed = [
            (paths::ZOOKEEPER, open),
            (paths::ZOOKEEPER_CONFIG, read_only),
            (paths::ZOOKEEPER_QUOTA, open),
            (paths::DOLMEN, read_only),
            (paths::DOLMEN_CONFIG, read_only),
            (paths::DOLMEN_NODES, read_only),
        ];
        let settings = settings::TABLE.iter().map(|row| {
            let path = format!("{}/{}", paths::DOLMEN_CONFIG, row.name);
            (path, read_only, row.default.to_string())
        });
        let fixed = fixed.map(|(path, permissions)| (path.into(), permissions, String::new()));
        for (path, permissions, text) in fixed.into_iter().chain(settings) {
            self.lay(&path, permissions, text);
        }
        let slots: Vec<_> = self.tree.below(tree::ROOT).chain([tree::ROOT]).collect();
        for slot in slots {
            self.tree.change(slot, |node| node.children_created = 0);
        }
    }

    fn lay(&mut self, path: &str, permissions: Permissions, text: String) {
        let (above, name) = paths::split(path).expect("our own paths have a slash");
        let parent = self.tree.find(above).expect("parents are laid first");
        let acl = self.tree.acls.intern(&access::anyone(permissions));
        let mut node = node::Node {
            parent,
            name: name.into(),
            acl,
            path_hash: self.tree.child_hash(parent, name),
            ..self.tree.node(tree::ROOT).clone()
        };
        node.set_data(text.into_bytes().into());
        self.tree.insert(node);
    }
}
