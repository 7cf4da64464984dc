//! The ownership epoch: it goes up and never down.

use dolmen_hsm_api::{KeyError, LeaseCounter as _};
use dolmen_hsm_tpm::{Floor, NvLease, OwnershipEpoch};

use crate::support::{Open as _, Swtpm};

#[test]
fn it_is_raised_one_by_one_and_never_goes_down() {
    let mut swtpm = Swtpm::new();
    let tpm = swtpm.open();
    let epoch = OwnershipEpoch::new(tpm.clone());
    assert_eq!(epoch.read().unwrap(), 1, "a new TPM begins at one");
    assert_eq!(epoch.read().unwrap(), 1, "reading is not raising");
    assert_eq!(epoch.raise(4).unwrap(), 4);
    assert_eq!(epoch.raise(4).unwrap(), 4);
    assert_eq!(epoch.raise(2).unwrap(), 4, "never down");
    swtpm.stop();
    swtpm.start();
    assert_eq!(epoch.read().unwrap(), 4);
    // Another counter of the same TPM.
    assert_eq!(Floor::new(tpm).raise(9).unwrap(), 9);
    assert_eq!(epoch.read().unwrap(), 4);
}

#[test]
fn a_step_that_is_too_large_leaves_it_as_it_is() {
    let swtpm = Swtpm::new();
    let epoch = OwnershipEpoch::new(swtpm.open());
    let first = epoch.read().unwrap();
    for to in [first + 1025, u64::MAX] {
        let refused = epoch.raise(to).unwrap_err();
        assert!(matches!(refused, KeyError::Policy { .. }), "{refused}");
        assert!(refused.to_string().contains(&format!("{to} is more than 1024 steps above")), "{refused}");
        assert!(refused.to_string().contains(&format!("a voucher with the epoch {}", first + 1)), "{refused}");
    }
    assert_eq!(epoch.read().unwrap(), first);
    assert_eq!(epoch.raise(first + 1).unwrap(), first + 1);
}

/// `0x01800d03` is written down in the documentation, and other tools read it there.
#[test]
fn others_read_it_and_clearing_the_tpm_does_not_bring_old_vouchers_back() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let epoch = OwnershipEpoch::new(swtpm.open());
    assert_eq!(epoch.raise(7).unwrap(), 7);
    drop(epoch);
    swtpm.tool("tpm2_nvread", &["0x01800d03", "-C", "o", "-o", "epoch"], directory.path());
    assert_eq!(std::fs::read(directory.path().join("epoch")).unwrap(), 7_u64.to_be_bytes());
    swtpm.tool("tpm2_clear", &["-c", "p"], directory.path());
    assert!(OwnershipEpoch::new(swtpm.open()).read().unwrap() > 7);
}

/// Boxes vote for years before they change hands. With some TPMs a counter that is made then would begin where the
/// counters of votes are.
#[test]
fn a_box_that_votes_has_an_epoch_already() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let lease = NvLease::new(swtpm.open());
    for view in 1..=9 {
        lease.advance(&[1; 32], 0, view).unwrap();
    }
    drop(lease);
    swtpm.tool("tpm2_nvread", &["0x01800d03", "-C", "o", "-o", "epoch"], directory.path());
    assert_eq!(std::fs::read(directory.path().join("epoch")).unwrap(), 1_u64.to_be_bytes());
}
