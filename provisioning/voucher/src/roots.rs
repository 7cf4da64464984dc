//! Whom each party trusts, a type for each, so that none can be taken for another.

use dolmen_provisioning_ca::chain::Roots;

/// Who vouches for those that sign vouchers. A box has them from its maker.
///
/// They may be the roots of the maker's boxes too: who signs a voucher has to have a certificate that says so
/// ([`Purpose::Voucher`](dolmen_provisioning_ca::chain::Purpose::Voucher)), and a box's has none.
#[derive(Clone, Debug)]
pub struct MasaRoots(pub Roots);

/// Who issues the first certificates of boxes (IDevID, IEEE 802.1AR): their makers.
#[derive(Clone, Debug)]
pub struct IdevidRoots(pub Roots);

/// The organisations that boxes are sold to.
#[derive(Clone, Debug)]
pub struct OrganisationRoots(pub Roots);
