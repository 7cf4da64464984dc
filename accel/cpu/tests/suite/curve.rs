//! The curves in short Weierstrass form, by RustCrypto, and how to make signatures without a secret: whoever may choose
//! the digest can choose the sum `[g]G + [q]Q`, and with it every number on the way.

use dolmen_accel_api::Algorithm;
use k256::elliptic_curve::{
    AffinePoint, CurveArithmetic, CurveGroup as _, Field as _, FieldBytes, Group as _, PrimeField as _,
    ProjectivePoint, Scalar,
    consts::U32,
    ops::{MulByGeneratorVartime as _, Reduce},
    point::{AffineCoordinates as _, DecompressPoint},
    scalar::IsHigh as _,
};

use crate::support::{Job, hex_array};

/// A curve with an algorithm on it.
pub(crate) trait Curve:
    CurveArithmetic<FieldBytesSize = U32, AffinePoint: DecompressPoint<Self>> + Send + Sync
{
    const ALGORITHM: Algorithm;
    /// The prime of the field.
    const P: &str;
    /// The order of the group.
    const N: &str;
    /// The `x` of a point with `y = 1`.
    const X_OF_Y_1: &str;
    /// A cube root of one modulo the order, where an endomorphism multiplies by it.
    const LAMBDA: Option<&str> = None;

    /// The signature that says the equation, with the digest for which it does. None if a number that may not be zero
    /// would be.
    fn forge(equation: &Equation<Self>) -> Option<Forged>;

    /// The numbers of a signature `(r, s)` of the digest `e` that says `x` of a sum: `r`, and `g` and `q`.
    fn numbers(e: &Scalar<Self>, s: &Scalar<Self>, x: &Scalar<Self>) -> [Scalar<Self>; 3];
}

/// That the sum `[g]G + [q]Q` has the coordinate `x` modulo the order, for a `q` that is not zero.
#[derive(Clone, Copy)]
pub(crate) struct Equation<C: Curve> {
    pub(crate) g: Scalar<C>,
    pub(crate) q: Scalar<C>,
    pub(crate) q_inverse: Scalar<C>,
    pub(crate) x: Scalar<C>,
    /// Whether the sum's `y` is odd, for recovery.
    pub(crate) odd_y: bool,
}

impl<C: Curve> Equation<C> {
    /// The equation that holds for `key`; none if the sum is the identity.
    pub(crate) fn under(key: &ProjectivePoint<C>, g: Scalar<C>, q: Scalar<C>) -> Option<Self> {
        let sum = multiple::<C>(&g) + *key * q;
        (!bool::from(sum.is_identity())).then(|| {
            let sum = sum.to_affine();
            Self { g, q, q_inverse: invert::<C>(&q), x: x::<C>(&sum), odd_y: odd_y::<C>(&sum) }
        })
    }
}

/// A digest and a signature.
pub(crate) struct Forged {
    pub(crate) digest: [u8; 32],
    pub(crate) signature: [u8; 64],
    /// Of the point that the signature names.
    pub(crate) odd_y: bool,
}

impl Forged {
    pub(crate) fn job(&self, key: &[u8]) -> Job {
        Job::digest(key, self.digest, &self.signature)
    }
}

impl Curve for k256::Secp256k1 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;
    const P: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
    const N: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    const X_OF_Y_1: &str = "146d3b65add9f54ccca28533c88e2cbc63f7443e1658783ab41f8ef97c2a10b5";
    const LAMBDA: Option<&str> = Some("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72");

    fn forge(equation: &Equation<Self>) -> Option<Forged> {
        forge_ecdsa(equation, true)
    }

    fn numbers(e: &Scalar<Self>, s: &Scalar<Self>, x: &Scalar<Self>) -> [Scalar<Self>; 3] {
        ecdsa_numbers::<Self>(e, s, x)
    }
}

impl Curve for p256::NistP256 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaP256;
    const P: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    const X_OF_Y_1: &str = "09e78d4ef60d05f750f6636209092bc43cbdd6b47e11a9de20a9feb2a50bb96c";

    fn forge(equation: &Equation<Self>) -> Option<Forged> {
        forge_ecdsa(equation, false)
    }

    fn numbers(e: &Scalar<Self>, s: &Scalar<Self>, x: &Scalar<Self>) -> [Scalar<Self>; 3] {
        ecdsa_numbers::<Self>(e, s, x)
    }
}

impl Curve for sm2::Sm2 {
    const ALGORITHM: Algorithm = Algorithm::Sm2;
    const P: &str = "fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff";
    const N: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
    const X_OF_Y_1: &str = "9c17043effe1a805a74a9a5e70b9d659705d3242094a566dc016f49311178d1f";

    /// `s = g`, `r = q - g`, `e = r - x`.
    fn forge(equation: &Equation<Self>) -> Option<Forged> {
        let Equation { g, q, x, odd_y, .. } = equation;
        let r = q - g;
        let nonzero = !bool::from(g.is_zero() | r.is_zero());
        let signature = pair(bytes::<Self>(&r), bytes::<Self>(g));
        nonzero.then(|| Forged { digest: bytes::<Self>(&(r - x)), signature, odd_y: *odd_y })
    }

    fn numbers(e: &Scalar<Self>, s: &Scalar<Self>, x: &Scalar<Self>) -> [Scalar<Self>; 3] {
        let r = e + x;
        [r, *s, r + s]
    }
}

/// `r = x`, `s = r / q`, `e = g s`. With `low`, a high `s` is negated, which negates the sum.
fn forge_ecdsa<C: Curve>(equation: &Equation<C>, low: bool) -> Option<Forged> {
    let Equation { g, q_inverse, x: r, odd_y, .. } = *equation;
    let s = r * q_inverse;
    let negate = low && bool::from(s.is_high());
    let signature = pair(bytes::<C>(&r), bytes::<C>(&if negate { -s } else { s }));
    let nonzero = !bool::from(r.is_zero());
    nonzero.then(|| Forged { digest: bytes::<C>(&(s * g)), signature, odd_y: odd_y != negate })
}

fn ecdsa_numbers<C: Curve>(e: &Scalar<C>, s: &Scalar<C>, x: &Scalar<C>) -> [Scalar<C>; 3] {
    let s_inverse = invert::<C>(s);
    [*x, s_inverse * e, s_inverse * x]
}

/// `[k]G`.
pub(crate) fn multiple<C: Curve>(k: &Scalar<C>) -> ProjectivePoint<C> {
    ProjectivePoint::<C>::mul_by_generator_vartime(k)
}

/// A signature `(r, s)` of the digest `e` that says `x` of its sum, and the key under which the sum is `sum`: recovery of
/// a key (SEC 1 §4.1.6). None where the key would be the identity, or `r` or `q` zero.
pub(crate) fn under_recovered_key<C: Curve>(
    e: &Scalar<C>,
    s: &Scalar<C>,
    x: &Scalar<C>,
    sum: &ProjectivePoint<C>,
) -> Option<([u8; 64], Forged)> {
    let [r, g, q] = C::numbers(e, s, x);
    if bool::from(r.is_zero() | q.is_zero()) {
        return None;
    }
    let key = (*sum - multiple::<C>(&g)) * invert::<C>(&q);
    let odd_y = odd_y::<C>(&sum.to_affine());
    let forged = Forged { digest: bytes::<C>(e), signature: pair(bytes::<C>(&r), bytes::<C>(s)), odd_y };
    (!bool::from(key.is_identity())).then(|| (key_bytes::<C>(&key.to_affine()), forged))
}

/// The point with this `x` and an even `y`, if there is one.
pub(crate) fn lift<C: Curve>(x: &[u8; 32]) -> Option<AffinePoint<C>> {
    AffinePoint::<C>::decompress(&(*x).into(), 0.into()).into_option()
}

/// A key `x || y`.
pub(crate) fn key_bytes<C: Curve>(point: &AffinePoint<C>) -> [u8; 64] {
    pair(point.x().into(), point.y().into())
}

/// The `x` of a point, modulo the order.
pub(crate) fn x<C: Curve>(point: &AffinePoint<C>) -> Scalar<C> {
    reduce::<C>(&point.x().into())
}

pub(crate) fn odd_y<C: Curve>(point: &AffinePoint<C>) -> bool {
    point.y()[31] & 1 == 1
}

/// A number modulo the order.
pub(crate) fn reduce<C: Curve>(number: &[u8; 32]) -> Scalar<C> {
    <Scalar<C> as Reduce<FieldBytes<C>>>::reduce(&(*number).into())
}

pub(crate) fn scalar<C: Curve>(small: i64) -> Scalar<C> {
    let absolute = Scalar::<C>::from(small.unsigned_abs());
    if small < 0 { -absolute } else { absolute }
}

pub(crate) fn bytes<C: Curve>(scalar: &Scalar<C>) -> [u8; 32] {
    scalar.to_repr().into()
}

/// The inverse of what is not zero.
pub(crate) fn invert<C: Curve>(scalar: &Scalar<C>) -> Scalar<C> {
    scalar.invert().into_option().expect("only zero has no inverse")
}

/// Two numbers, one after the other.
pub(crate) fn pair(first: [u8; 32], second: [u8; 32]) -> [u8; 64] {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(&first);
    pair[32..].copy_from_slice(&second);
    pair
}

/// The prime of the field and the order of the group.
pub(crate) fn moduli<C: Curve>() -> ([u8; 32], [u8; 32]) {
    (hex_array(C::P), hex_array(C::N))
}
