//! Where a strand of a run stands: its path, its stage, its scope.

use crate::aws::Scope;

/// The position of one strand: what numbers its operations, and where their calls go.
///
/// Ids are paths of counters: the script's own operations are `1`, `2`, `3`; the second branch of a
/// `parallel` that stands at `3` has `3.2.1`, `3.2.2`. They do not depend on timing.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    path: Vec<u32>,
    count: u32,
    stages: Vec<String>,
    scopes: Vec<Scope>,
}

impl Branch {
    /// Where a script begins.
    pub fn root() -> Self {
        Self::default()
    }

    /// The id of the next operation here.
    pub fn next_id(&mut self) -> String {
        self.count += 1;
        let mut id: Vec<String> = self.path.iter().map(u32::to_string).collect();
        id.push(self.count.to_string());
        id.join(".")
    }

    /// The id that the next operation here would have.
    pub fn peek_id(&self) -> String {
        self.clone().next_id()
    }

    /// The branches of a `parallel` that stands here. Takes one number for all of them.
    pub fn children(&mut self, count: usize) -> Vec<Self> {
        self.count += 1;
        (1..=count)
            .map(|index| {
                let mut path = self.path.clone();
                path.extend([self.count, u32::try_from(index).unwrap_or(u32::MAX)]);
                Self { path, count: 0, ..self.clone() }
            })
            .collect()
    }

    /// How many `parallel` it is in.
    pub fn depth(&self) -> usize {
        self.path.len() / 2
    }

    pub fn enter_stage(&mut self, name: &str) {
        self.stages.push(name.to_owned());
    }

    pub fn leave_stage(&mut self) {
        self.stages.pop();
    }

    /// The innermost stage.
    pub fn stage(&self) -> Option<&str> {
        self.stages.last().map(String::as_str)
    }

    pub fn enter_scope(&mut self, scope: Scope) {
        self.scopes.push(scope);
    }

    pub fn leave_scope(&mut self) {
        self.scopes.pop();
    }

    /// The innermost scope named by `within`; `None` is the environment's own.
    pub fn scope(&self) -> Option<&Scope> {
        self.scopes.last()
    }
}

#[cfg(test)]
mod tests {
    use super::Branch;

    #[test]
    fn ids_are_paths() {
        let mut root = Branch::root();
        assert_eq!((root.next_id(), root.next_id()), ("1".into(), "2".into()));
        let mut children = root.children(2);
        assert_eq!(children[1].next_id(), "3.2.1");
        assert_eq!(children[0].next_id(), "3.1.1");
        let mut grandchild = children[0].children(1).remove(0);
        assert_eq!((root.depth(), children[0].depth(), grandchild.depth()), (0, 1, 2));
        assert_eq!(grandchild.next_id(), "3.1.2.1.1");
        assert_eq!(root.next_id(), "4");
    }
}
