/*
 * SM2, SM3 and SM4 on OpenSSL's arithmetic, for the device of sdf.c. A function returns whether it went well.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <string.h>

/* The structures of GM/T 0018-2012: numbers stand at the right of their 64 bytes. */
typedef struct {
    unsigned int bits;
    unsigned char x[64], y[64];
} PublicKey;

typedef struct {
    unsigned char r[64], s[64];
} Signature;

static BIGNUM *number(const unsigned char bytes[64]) {
    return BN_bin2bn(bytes, 64, NULL);
}

static int is_aligned(const unsigned char bytes[64]) {
    static const unsigned char zero[32];
    return memcmp(bytes, zero, 32) == 0;
}

/* GB/T 32918.2-2016 §6: r = e + x of [k]G, s = (k - r d) / (1 + d), both modulo the order. */
static int sm2_sign(const unsigned char secret[32], const unsigned char digest[32], Signature *signature) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_sm2);
    BN_CTX *context = BN_CTX_new();
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *d = BN_bin2bn(secret, 32, NULL), *e = BN_bin2bn(digest, 32, NULL), *n = BN_new(), *k = BN_new();
    BIGNUM *r = BN_new(), *s = BN_new(), *t = BN_new();
    int good = EC_GROUP_get_order(group, n, context);
    do {
        good = good && BN_priv_rand_range(k, n) && EC_POINT_mul(group, point, k, NULL, NULL, context);
        good = good && EC_POINT_get_affine_coordinates(group, point, r, NULL, context);
        good = good && BN_mod_add(r, r, e, n, context) && BN_add(t, r, k);
        if (!good || BN_is_zero(r) || BN_cmp(t, n) == 0) continue;
        good = BN_mod_mul(t, r, d, n, context) && BN_mod_sub(s, k, t, n, context);
        good = good && BN_copy(t, d) && BN_add_word(t, 1) && BN_mod_inverse(t, t, n, context);
        good = good && BN_mod_mul(s, s, t, n, context);
    } while (good && BN_is_zero(s));
    good = good && BN_bn2binpad(r, signature->r, 64) == 64 && BN_bn2binpad(s, signature->s, 64) == 64;
    BN_clear_free(d), BN_free(e), BN_free(n), BN_clear_free(k), BN_free(r), BN_free(s), BN_clear_free(t);
    EC_POINT_free(point), BN_CTX_free(context), EC_GROUP_free(group);
    return good;
}

/* §7 of it: [s]G + [r + s]P has the x that e lacks to r. */
static int sm2_holds(const PublicKey *key, const unsigned char digest[32], const Signature *signature) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_sm2);
    BN_CTX *context = BN_CTX_new();
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *x = number(key->x), *y = number(key->y), *e = BN_bin2bn(digest, 32, NULL), *n = BN_new(), *t = BN_new();
    BIGNUM *r = number(signature->r), *s = number(signature->s);
    int good = EC_GROUP_get_order(group, n, context);
    good = good && !BN_is_zero(r) && !BN_is_zero(s) && BN_cmp(r, n) < 0 && BN_cmp(s, n) < 0;
    good = good && BN_mod_add(t, r, s, n, context) && !BN_is_zero(t);
    good = good && EC_POINT_set_affine_coordinates(group, point, x, y, context);
    good = good && EC_POINT_mul(group, point, s, point, t, context);
    good = good && EC_POINT_get_affine_coordinates(group, point, x, NULL, context);
    good = good && BN_mod_add(t, e, x, n, context) && BN_cmp(t, r) == 0;
    BN_free(x), BN_free(y), BN_free(e), BN_free(n), BN_free(t), BN_free(r), BN_free(s);
    EC_POINT_free(point), BN_CTX_free(context), EC_GROUP_free(group);
    return good;
}

static int sm2_public_key(const unsigned char secret[32], PublicKey *key) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_sm2);
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *d = BN_bin2bn(secret, 32, NULL), *x = BN_new(), *y = BN_new();
    int good = EC_POINT_mul(group, point, d, NULL, NULL, NULL);
    good = good && EC_POINT_get_affine_coordinates(group, point, x, y, NULL);
    good = good && BN_bn2binpad(x, key->x, 64) == 64 && BN_bn2binpad(y, key->y, 64) == 64;
    key->bits = 256;
    BN_clear_free(d), BN_free(x), BN_free(y), EC_POINT_free(point), EC_GROUP_free(group);
    return good;
}

/* Z of GB/T 32918.2-2016 §5.5. */
static void hash_identity(EVP_MD_CTX *outer, const PublicKey *key, const unsigned char *identity, unsigned int length) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_sm2);
    BIGNUM *p = BN_new(), *numbers[4] = {BN_new(), BN_new(), BN_new(), BN_new()};
    unsigned char bytes[32] = {(unsigned char)(length * 8 >> 8), (unsigned char)(length * 8)};
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    EC_GROUP_get_curve(group, p, numbers[0], numbers[1], NULL);
    EC_POINT_get_affine_coordinates(group, EC_GROUP_get0_generator(group), numbers[2], numbers[3], NULL);
    EVP_DigestInit_ex(hash, EVP_sm3(), NULL);
    EVP_DigestUpdate(hash, bytes, 2);
    EVP_DigestUpdate(hash, identity, length);
    for (int i = 0; i < 4; i++) {
        BN_bn2binpad(numbers[i], bytes, 32);
        EVP_DigestUpdate(hash, bytes, 32);
        BN_free(numbers[i]);
    }
    EVP_DigestUpdate(hash, key->x + 32, 32);
    EVP_DigestUpdate(hash, key->y + 32, 32);
    EVP_DigestFinal_ex(hash, bytes, NULL);
    EVP_DigestUpdate(outer, bytes, 32);
    BN_free(p), EVP_MD_CTX_free(hash), EC_GROUP_free(group);
}

/* Whole blocks, without padding. */
static int sm4(const EVP_CIPHER *cipher, int encrypt, const unsigned char key[16], const unsigned char *iv,
               const unsigned char *in, unsigned int length, unsigned char *out) {
    int written = 0, rest = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int good = EVP_CipherInit_ex(context, cipher, NULL, key, iv, encrypt) && EVP_CIPHER_CTX_set_padding(context, 0);
    good = good && EVP_CipherUpdate(context, out, &written, in, (int)length);
    good = good && EVP_CipherFinal_ex(context, out + written, &rest) && (unsigned int)(written + rest) == length;
    EVP_CIPHER_CTX_free(context);
    return good;
}
