use super::*;
use crate::{
    arith::Portable,
    curve::{Edwards25519, P256, Secp256k1, Sm2},
    testing::{self, Random},
};

/// Numbers of the eight lanes modulo `p`.
type Row = [U256; LANES];

fn row(f: impl FnMut(usize) -> U256) -> Row {
    std::array::from_fn(f)
}

/// Sums and products modulo `p`, bit by bit, with the factor `2^-260` of Montgomery's form.
struct Oracle<C>(PhantomData<C>);

impl<C: Curve> Oracle<C> {
    fn reduce(a: &U256) -> U256 {
        testing::modulo(a, &C::P)
    }

    fn times(a: &U256, b: &U256) -> U256 {
        let product = testing::mul(a, b, &C::P);
        if !Form::<C>::MONTGOMERY {
            return product;
        }
        let radix = (0..260).fold([1, 0, 0, 0], |power, _| testing::mul(&power, &[2, 0, 0, 0], &C::P));
        testing::mul(&product, &invert::invert(&radix, &C::P), &C::P)
    }

    fn minus(a: &U256, b: &U256) -> U256 {
        let minus_one = u256::sub(&C::P, &[1, 0, 0, 0]).0;
        let negative = testing::mul(b, &minus_one, &C::P);
        let (sum, carry) = u256::add(&Self::reduce(a), &negative);
        if carry { u256::sub(&sum, &C::P).0 } else { Self::reduce(&sum) }
    }
}

/// The residues, after a look at the limbs: each has 52 bits, and the number is at most `most` `M` and a little.
fn residues<C: Curve>(lanes: Lanes<Portable<C>>, most: u64) -> Row {
    let mut limbs = [[0; LANES]; LIMBS];
    for (limb, vector) in limbs.iter_mut().zip(lanes.0) {
        ifma!(_mm512_storeu_si512(limb.as_mut_ptr().cast(), vector));
    }
    assert!(limbs.iter().flatten().all(|limb| *limb <= LIMB), "limbs have 52 bits: {limbs:x?}");
    assert!(limbs[LIMBS - 1].iter().all(|top| *top <= most << TOP), "at most {most} M: {limbs:x?}");
    lanes.to_numbers().map(|number| Oracle::<C>::reduce(&number))
}

/// Every operation on the largest, the smallest and random operands that it is made for.
fn operations<C: Curve>(cpu: Ifma) {
    type O<C> = Oracle<C>;
    let mut random = Random(0x5eed);
    let m = u256::sub(&[0; 4], &C::CARRY).0;
    for _ in 0..40 {
        let mut numbers = || row(|_| u256::sub_once(&random.edgy(&C::P), &m));
        // `2^shift` times numbers below M.
        let mut operand = |shift: u32| Lanes::<Portable<C>>::from_words(cpu, numbers().each_ref(), shift);
        let [a, b, c, d] = [operand(2), operand(2), operand(2), operand(2)];
        let three = operand(1).plus(operand(0));
        let [ra, rb] = [a, b].map(|operand| residues(operand, 4));
        let r3 = residues(three, 3);
        let check = |lanes: Lanes<Portable<C>>, most: u64, expected: &dyn Fn(usize) -> U256, what: &str| {
            assert_eq!(residues(lanes, most), row(expected), "{what}");
        };
        check(a.minus(b), 8, &|i| O::<C>::minus(&ra[i], &rb[i]), "minus");
        check(a.plus(b), 8, &|i| O::<C>::minus(&ra[i], &O::<C>::minus(&[0; 4], &rb[i])), "plus");
        check(a.triple(), 12, &|i| testing::mul(&ra[i], &[3, 0, 0, 0], &C::P), "triple");
        check(a.times(b), 2, &|i| O::<C>::times(&ra[i], &rb[i]), "times");
        check(a.squared(), 2, &|i| O::<C>::times(&ra[i], &ra[i]), "squared");
        // Up to 8 M, independent of one another, and up to 12 M.
        let (e, f, g) = (a.minus(b), c.minus(d), c.triple());
        let (re, rf, rg) = (residues(e, 8), residues(f, 8), residues(g, 12));
        check(e.times(f), 5, &|i| O::<C>::times(&re[i], &rf[i]), "times, large");
        check(e.times(g), 7, &|i| O::<C>::times(&re[i], &rg[i]), "times, larger");
        check(g.squared(), 10, &|i| O::<C>::times(&rg[i], &rg[i]), "squared, large");
        let square_minus = |i: usize| O::<C>::minus(&O::<C>::minus(&O::<C>::times(&ra[i], &ra[i]), &re[i]), &r3[i]);
        check(a.square_minus(e, three), 3, &square_minus, "square minus 11 M");
        let eleven = e.plus(three);
        let times_minus = |i: usize| {
            let product = O::<C>::times(&rf[i], &rg[i]);
            O::<C>::minus(&O::<C>::minus(&product, &re[i]), &r3[i])
        };
        check(f.times_minus(g, eleven), 3, &times_minus, "times minus 11 M");

        let mask = 0b1010_0110;
        check(a.blend(mask, b), 4, &|i| if mask >> i & 1 == 1 { rb[i] } else { ra[i] }, "blend");
        let two = operand(1);
        let r2 = residues(two, 2);
        let negated = |i: usize| if mask >> i & 1 == 1 { O::<C>::minus(&[0; 4], &r2[i]) } else { r2[i] };
        check(two.negate_if(mask), 2, &negated, "negate");

        let zeros = (0..LANES).fold(0, |mask, lane| mask | Mask::from(u256::is_zero(&ra[lane])) << lane);
        assert_eq!(a.zeros(cpu), zeros);
        assert_eq!(a.minus(a).zeros(cpu), Mask::MAX);
        match a.invert(cpu) {
            Some(inverse) => {
                assert_eq!(zeros, 0);
                let one = residues::<C>(Lanes::one(cpu), 1);
                check(inverse.times(a), 2, &|i| one[i], "inverse");
            }
            None => assert_ne!(zeros, 0),
        }

        // Points go in and out.
        let canonical = numbers().map(|number| O::<C>::reduce(&number));
        let x = Lanes::<Portable<C>>::from_x(cpu, canonical.each_ref());
        assert_eq!(x.to_x(cpu).map(|x| O::<C>::reduce(&x.0)), canonical);
        let y = Lanes::<Portable<C>>::from_y(cpu, canonical.each_ref());
        assert_eq!(y.to_y(cpu).map(|y| O::<C>::reduce(&y.0)), canonical);
    }
}

#[test]
fn lanes_compute_like_integers() {
    let Some(cpu) = Ifma::detect() else {
        eprintln!("skipped, as this CPU lacks it: AVX-512 IFMA");
        return;
    };
    operations::<P256>(cpu);
    operations::<Secp256k1>(cpu);
    operations::<Sm2>(cpu);
    operations::<Edwards25519>(cpu);
}

#[test]
fn multiples_are_multiples() {
    fn check<C: Curve>() {
        let limbs = |number: &U256| split(number, 0);
        assert_eq!(Form::<C>::multiple(1), limbs(&u256::sub(&[0; 4], &C::CARRY).0));
        for count in 2..=15_u64 {
            let (one, before, this) =
                (Form::<C>::multiple(1), Form::<C>::multiple(count - 1), Form::<C>::multiple(count));
            let mut carry = 0;
            for index in 0..LIMBS {
                let sum = one[index] + before[index] + carry;
                assert_eq!(this[index], sum & LIMB);
                carry = sum >> BITS;
            }
            assert_eq!(carry, 0);
        }
    }
    check::<P256>();
    check::<Secp256k1>();
    check::<Sm2>();
    check::<Edwards25519>();
}
