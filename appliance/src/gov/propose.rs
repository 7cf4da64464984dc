//! `dolmen gov propose`: a change of each kind from the words of a command line.

use std::{fs, net::SocketAddr, path::PathBuf};

use alloy_primitives::{Address, Bytes};
use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use dolmen_governance::{Admission, Change, Kind, Modes, Parameters, Policy, contract};
use dolmen_types::PublicKey;

use super::{
    chain::Chain, decide, members::Members, request::AdmissionRequest, text::parse_duration, wallet::WalletArgs,
};

/// Arguments of `dolmen gov propose`.
#[derive(Args)]
pub(super) struct ProposeArgs {
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(subcommand)]
    change: ChangeCommand,
}

/// A box that asks to be admitted.
#[derive(Args)]
struct AdmissionArgs {
    /// What `dolmen gov request` wrote on the box.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
}

#[derive(Subcommand)]
enum ChangeCommand {
    /// Take in a member of the consortium.
    #[command(after_help = "Example:\n  dolmen gov propose admit-organisation gamma \\\n    \
        --account 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 --key soft:alpha --dir keys")]
    AdmitOrganisation {
        /// What it is called.
        name: String,
        /// The account that proposes and votes for it.
        #[arg(long, value_name = "ADDRESS")]
        account: Address,
        /// Its root certificate, X.509 in DER.
        #[arg(long, value_name = "FILE")]
        root_certificate: Option<PathBuf>,
    },
    /// Have a member leave, with all of its boxes.
    #[command(after_help = "Example:\n  dolmen gov propose remove-organisation gamma --key soft:alpha --dir keys")]
    RemoveOrganisation {
        /// Its name or number.
        organisation: String,
    },
    /// Give a member another account or root certificate; what is not given stays.
    #[command(after_help = "Example:\n  dolmen gov propose change-organisation alpha \\\n    \
        --account 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 --key soft:alpha --dir keys")]
    ChangeOrganisation {
        /// Its name or number.
        organisation: String,
        /// The account that proposes and votes for it from now on.
        #[arg(long, value_name = "ADDRESS")]
        account: Option<Address>,
        /// Its root certificate, X.509 in DER.
        #[arg(long, value_name = "FILE")]
        root_certificate: Option<PathBuf>,
        /// Have no root certificate.
        #[arg(long, conflicts_with = "root_certificate")]
        no_root_certificate: bool,
    },
    /// Admit a box that takes finalized blocks and does not vote.
    #[command(
        after_help = "Example:\n  dolmen gov propose admit-follower --request request.json --key soft:alpha --dir keys"
    )]
    AdmitFollower {
        #[command(flatten)]
        admission: AdmissionArgs,
        /// Let it take the place of a silent validator without another vote, which takes what a promotion takes.
        #[arg(long)]
        standby: bool,
    },
    /// Admit a box that votes from the next epoch on.
    #[command(
        after_help = "Example:\n  dolmen gov propose admit-validator --request request.json --key soft:alpha --dir keys"
    )]
    AdmitValidator {
        #[command(flatten)]
        admission: AdmissionArgs,
    },
    /// Have a follower vote from the next epoch on.
    #[command(after_help = "Example:\n  dolmen gov propose promote box-5 --key soft:alpha --dir keys")]
    Promote {
        /// Its name, or the first digits of its public key.
        #[arg(value_name = "BOX")]
        subject: String,
    },
    /// Have a validator follow from the next epoch on.
    #[command(after_help = "Example:\n  dolmen gov propose demote box-2 --key soft:alpha --dir keys")]
    Demote {
        /// Its name, or the first digits of its public key.
        #[arg(value_name = "BOX")]
        subject: String,
    },
    /// Have a box leave for good: its key never comes back.
    #[command(after_help = "Example:\n  dolmen gov propose retire box-2 --key soft:alpha --dir keys")]
    Retire {
        /// Its name, or the first digits of its public key.
        #[arg(value_name = "BOX")]
        subject: String,
    },
    /// Retire a validator and admit another box in its place.
    #[command(after_help = "Example:\n  dolmen gov propose replace box-2 --request request.json \\\n    \
        --key soft:alpha --dir keys")]
    Replace {
        /// The validator's name, or the first digits of its public key.
        #[arg(value_name = "BOX")]
        subject: String,
        /// What `dolmen gov request` wrote on the new box.
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
    },
    /// Give a box another address or fee recipient, or have it stand by or not; what is not given stays.
    #[command(after_help = "Examples:\n  dolmen gov propose change-box box-5 --endpoint 10.0.0.16:30303 \\\n    \
        --key soft:alpha --dir keys\n  \
        dolmen gov propose change-box box-5 --standby true --devnet devnet --as organisation-0")]
    ChangeBox {
        /// Its name, or the first digits of its public key.
        #[arg(value_name = "BOX")]
        subject: String,
        /// Receives the fees of its blocks, from the next epoch on.
        #[arg(long, value_name = "ADDRESS")]
        fee_recipient: Option<Address>,
        /// Where other boxes reach it.
        #[arg(long, value_name = "IP:PORT")]
        endpoint: Option<SocketAddr>,
        /// The chain is to know no address: each of the others then needs one in its own settings.
        #[arg(long, conflicts_with = "endpoint")]
        no_endpoint: bool,
        /// Whether it takes the place of a silent validator without another vote.
        #[arg(long, value_name = "BOOL")]
        standby: Option<bool>,
    },
    /// Have changes of a kind decided otherwise, open proposals too; what is not given stays.
    #[command(
        after_help = "Example:\n  dolmen gov propose set-policy retire --approvals 3 --own false --lifetime 7d \\\n    \
        --key soft:alpha --dir keys"
    )]
    SetPolicy {
        /// The kind, as `dolmen gov policies` lists it.
        kind: Kind,
        /// Organisations that must approve; 0 for a majority.
        #[arg(long, value_name = "N")]
        approvals: Option<u16>,
        /// Whether an organisation decides alone about its own boxes.
        #[arg(long, value_name = "BOOL")]
        own: Option<bool>,
        /// How long a proposal stays open, as in 7d or 12h.
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        lifetime: Option<u64>,
    },
    /// Set parameters of the chain from the next epoch on; what is not given stays.
    #[command(after_help = "Example:\n  dolmen gov propose set-parameters --gas-limit 100000000 \\\n    \
        --key soft:alpha --dir keys")]
    SetParameters {
        /// Gas a block may use.
        #[arg(long, value_name = "GAS")]
        gas_limit: Option<u64>,
        /// Wei per gas; 0 makes transactions free of charge.
        #[arg(long, value_name = "WEI")]
        base_fee: Option<u64>,
        /// Least time between two blocks, milliseconds.
        #[arg(long, value_name = "MS")]
        block_interval_min_ms: Option<u64>,
        /// Longest wait for a transaction before an empty block, milliseconds.
        #[arg(long, value_name = "MS")]
        block_interval_max_ms: Option<u64>,
        /// Seconds after which a validator that proposes nothing is silent; 0 for never.
        #[arg(long, value_name = "SECONDS")]
        silent_after_s: Option<u64>,
    },
    /// Say whether accounts need a permission; what is not given stays.
    #[command(after_help = "Example:\n  dolmen gov propose set-permission-modes --restrict-deploy true \\\n    \
        --key soft:alpha --dir keys")]
    SetPermissionModes {
        /// Whether only accounts with the permission may deploy contracts.
        #[arg(long, value_name = "BOOL")]
        restrict_deploy: Option<bool>,
        /// Whether only accounts with the permission may send transactions.
        #[arg(long, value_name = "BOOL")]
        restrict_send: Option<bool>,
    },
    /// Say what an account may, where that is restricted: those of the two that are given, and no other.
    #[command(after_help = "Example:\n  dolmen gov propose set-permission \\\n    \
        0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 --deploy --send --key soft:alpha --dir keys")]
    SetPermission {
        /// The account.
        address: Address,
        /// It may deploy contracts.
        #[arg(long)]
        deploy: bool,
        /// It may send transactions.
        #[arg(long)]
        send: bool,
    },
}

/// Proposes a change and prints what came of it.
pub(super) async fn propose(chain: &Chain, args: ProposeArgs, json: bool) -> anyhow::Result<()> {
    let ProposeArgs { wallet, change } = args;
    let change = change.read(chain).await?;
    decide::decide(chain, wallet, change.propose(), json).await
}

impl ChangeCommand {
    /// The change that is meant, with what the chain has where nothing is given.
    async fn read(self, chain: &Chain) -> anyhow::Result<Change> {
        Ok(match self {
            Self::AdmitOrganisation { name, account, root_certificate } => {
                Change::AdmitOrganisation { name, account, root_certificate: read_certificate(root_certificate)? }
            }
            Self::RemoveOrganisation { organisation } => {
                Change::RemoveOrganisation { organisation: Members::load(chain).await?.organisation(&organisation)?.id }
            }
            Self::ChangeOrganisation { organisation, account, root_certificate, no_root_certificate } => {
                ensure!(
                    account.is_some() || root_certificate.is_some() || no_root_certificate,
                    "say what changes: --account, --root-certificate or --no-root-certificate"
                );
                let members = Members::load(chain).await?;
                let known = members.organisation(&organisation)?;
                let root_certificate = if root_certificate.is_none() && !no_root_certificate {
                    known.rootCertificate.clone()
                } else {
                    read_certificate(root_certificate)?
                };
                let account = account.unwrap_or(known.account);
                Change::ChangeOrganisation { organisation: known.id, account, root_certificate }
            }
            Self::AdmitFollower { admission, standby } => {
                Change::AdmitFollower { admission: admission.read(chain).await?, standby }
            }
            Self::AdmitValidator { admission } => Change::AdmitValidator { admission: admission.read(chain).await? },
            Self::Promote { subject } => Change::Promote { key: key_of(chain, &subject).await? },
            Self::Demote { subject } => Change::Demote { key: key_of(chain, &subject).await? },
            Self::Retire { subject } => Change::Retire { key: key_of(chain, &subject).await? },
            Self::Replace { subject, request } => Change::Replace {
                retired: key_of(chain, &subject).await?,
                admission: AdmissionRequest::load(&request)?.checked(chain).await?,
            },
            Self::ChangeBox { subject, fee_recipient, endpoint, no_endpoint, standby } => {
                ensure!(
                    fee_recipient.is_some() || endpoint.is_some() || no_endpoint || standby.is_some(),
                    "say what changes: --fee-recipient, --endpoint, --no-endpoint or --standby"
                );
                let members = Members::load(chain).await?;
                let known = members.find_box(&subject)?;
                let endpoint = match (endpoint, no_endpoint) {
                    (Some(endpoint), _) => endpoint.to_string(),
                    (None, true) => String::new(),
                    (None, false) => known.endpoint.clone(),
                };
                Change::ChangeBox {
                    key: PublicKey(known.key.0),
                    fee_recipient: fee_recipient.unwrap_or(known.feeRecipient),
                    endpoint,
                    standby: standby.unwrap_or(known.standby),
                }
            }
            Self::SetPolicy { kind, approvals, own, lifetime } => {
                ensure!(
                    approvals.is_some() || own.is_some() || lifetime.is_some(),
                    "say what changes: --approvals, --own or --lifetime"
                );
                let known = chain.ask(&contract::policyCall { kind: kind.number() }).await?;
                let policy = Policy {
                    approvals: approvals.unwrap_or(known.approvals),
                    own: own.unwrap_or(known.own),
                    lifetime_s: lifetime.unwrap_or(known.lifetime),
                };
                Change::SetPolicy { kind, policy }
            }
            Self::SetParameters {
                gas_limit,
                base_fee,
                block_interval_min_ms,
                block_interval_max_ms,
                silent_after_s,
            } => {
                let given = [gas_limit, base_fee, block_interval_min_ms, block_interval_max_ms, silent_after_s];
                ensure!(
                    given.iter().any(Option::is_some),
                    "say what changes: --gas-limit, --base-fee, --block-interval-min-ms, --block-interval-max-ms or \
                     --silent-after-s"
                );
                // Those that are wanted, not those of this epoch: what was decided a moment ago is not to be undone.
                let known = chain.ask(&contract::parametersCall {}).await?;
                Change::SetParameters(Parameters {
                    gas_limit: gas_limit.unwrap_or(known.gasLimit),
                    base_fee_per_gas: base_fee.unwrap_or(known.baseFeePerGas),
                    block_interval_min_ms: block_interval_min_ms.unwrap_or(known.blockIntervalMinMs),
                    block_interval_max_ms: block_interval_max_ms.unwrap_or(known.blockIntervalMaxMs),
                    silent_after_s: silent_after_s.unwrap_or(known.silentAfterSeconds),
                })
            }
            Self::SetPermissionModes { restrict_deploy, restrict_send } => {
                ensure!(
                    restrict_deploy.is_some() || restrict_send.is_some(),
                    "say what changes: --restrict-deploy or --restrict-send"
                );
                let known = chain.ask(&contract::permissionModesCall {}).await?;
                Change::SetPermissionModes(Modes {
                    restrict_deploy: restrict_deploy.unwrap_or(known.restrictDeploy),
                    restrict_send: restrict_send.unwrap_or(known.restrictSend),
                })
            }
            Self::SetPermission { address, deploy, send } => {
                Change::SetPermission { account: address, bits: u8::from(deploy) | u8::from(send) << 1 }
            }
        })
    }
}

impl AdmissionArgs {
    async fn read(self, chain: &Chain) -> anyhow::Result<Admission> {
        AdmissionRequest::load(&self.request)?.checked(chain).await
    }
}

/// The key of a box that is on the chain.
async fn key_of(chain: &Chain, subject: &str) -> anyhow::Result<PublicKey> {
    Ok(PublicKey(Members::load(chain).await?.find_box(subject)?.key.0))
}

/// The bytes of a root certificate, none where there is no file.
fn read_certificate(path: Option<PathBuf>) -> anyhow::Result<Bytes> {
    let Some(path) = path else { return Ok(Bytes::new()) };
    let der = fs::read(&path).with_context(|| format!("cannot read the certificate {}", path.display()))?;
    let form =
        || format!("{} is no X.509 certificate in DER; convert it with `openssl x509 -outform der`", path.display());
    openssl::x509::X509::from_der(&der).with_context(form)?;
    Ok(der.into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        propose: ProposeArgs,
    }

    #[test]
    fn every_kind_has_a_command_of_its_name() {
        let command = <Cli as clap::CommandFactory>::command();
        command.clone().debug_assert();
        let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, Kind::ALL.map(Kind::name));
    }

    #[test]
    fn who_signs_may_stand_before_and_after_what_is_proposed() {
        for line in ["x --devnet d --as alpha retire box-1", "x retire box-1 --devnet d --as alpha"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        let policy = Cli::try_parse_from("x set-policy retire --lifetime 7d --own false --print".split(' ')).unwrap();
        let ChangeCommand::SetPolicy { kind, lifetime, own, approvals } = policy.propose.change else { panic!() };
        assert_eq!((kind, lifetime, own, approvals), (Kind::Retire, Some(604_800), Some(false), None));
        assert!(Cli::try_parse_from("x set-policy nothing --own true".split(' ')).is_err());
        assert!(Cli::try_parse_from("x change-box box-1 --endpoint somewhere".split(' ')).is_err());
    }
}
