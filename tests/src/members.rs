//! The members of a development chain, who decide with `dolmen gov` who runs it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{BoxInfo, Cluster, PATIENCE, dolmen, process, quantity};

/// The organisations of a chain. All of them ask one box.
#[derive(Clone, Debug)]
pub struct Members {
    rpc: String,
    /// The chain's, where the keys of their accounts are.
    dir: PathBuf,
}

impl Members {
    /// Those of a chain, who ask the box with this index.
    pub fn asking(cluster: &Cluster, index: usize) -> Self {
        Self { rpc: cluster.node(index).rpc.clone(), dir: cluster.dir().to_owned() }
    }

    /// A change that three of four organisations want.
    pub fn decide(&self, change: &[&str]) {
        let proposal = self.act(0, change);
        let vote = ["vote", &proposal_number(&proposal), "yes"];
        self.act(1, &vote);
        assert_eq!(self.act(2, &vote)["status"], "executed", "{change:?}");
    }

    /// A box that nobody knows asks to join, and its organisation takes it in, which it may do alone.
    pub fn admit(&self, own: &BoxInfo, organisation: usize, fee_recipient: &str) {
        let request = own.dir().join("request.json");
        let (config, request) = (text(&own.config), text(&request));
        let number = (organisation + 1).to_string();
        let options = ["--organisation", &number, "--fee-recipient", fee_recipient];
        let written = self.run(&["request", "--config", config, "--out", request], &options);
        assert!(written.status.success(), "{}", written.output);
        let proposal = self.act(organisation, &["propose", "admit-follower", "--request", request]);
        assert_eq!(proposal["status"], "executed", "{proposal}");
    }

    /// `dolmen gov` of an organisation; how the proposal stands after it.
    pub fn act(&self, organisation: usize, arguments: &[&str]) -> Value {
        let ended = self.try_to_act(organisation, arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.output);
        let mut done: Value = serde_json::from_str(&ended.output).expect("JSON alone");
        done["proposal"].take()
    }

    /// The same, which may be refused.
    pub fn try_to_act(&self, organisation: usize, arguments: &[&str]) -> process::Ended {
        let member = format!("organisation-{organisation}");
        self.run(arguments, &["--devnet", text(&self.dir), "--as", &member, "--json"])
    }

    /// `dolmen gov` of nobody in particular; what it prints.
    pub fn show(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments, &[]);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.output);
        ended.output
    }

    fn run(&self, arguments: &[&str], more: &[&str]) -> process::Ended {
        let mut command = Command::new(dolmen());
        process::run(command.args(["gov", "--rpc", &self.rpc]).args(arguments).args(more), PATIENCE)
    }
}

/// The number of a proposal as it is typed.
pub fn proposal_number(proposal: &Value) -> String {
    quantity(&proposal["id"]).to_string()
}

/// Names of those who vote on the next block.
pub fn validators(own: &BoxInfo) -> Vec<String> {
    let epoch = own.call("dolmen_epoch", json!([]));
    let validators = epoch["validators"].as_array().expect("a list");
    validators.iter().map(|validator| validator["name"].as_str().expect("a name").to_owned()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have simple names")
}
