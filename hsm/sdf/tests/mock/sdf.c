/*
 * A device of GM/T 0018-2012 for tests, as strict as the strictest real one. Its keys and faults are files in the
 * directory that this library lies in:
 *
 *   key-INDEX     the secret of a signing key, 64 hexadecimal digits
 *   kek-INDEX     a key-encryption key, 32 hexadecimal digits
 *   password      what gives the right to use the signing keys; where it is missing they need none
 *   removed       the device is gone; sessions do not outlive it
 *   locked        no password is taken
 *   forget        sessions that were opened before this file's content changed are invalid
 *   kek-cbc       keys are wrapped in CBC alone, where the standard has ECB
 *   bad-signature signatures do not hold
 *   slow          milliseconds that a signature takes
 *
 * What it was asked for stands in `counts` after each call that changes it: sessions that are open, devices opened,
 * access rights asked for, wrong passwords, sessions still open when their device was closed, calls on a session that
 * was busy with another.
 */
#define _GNU_SOURCE
#include "state.h"

/* --- The device and its sessions --- */

int SDF_OpenDevice(void **handle) {
    pthread_mutex_lock(&mutex);
    epoch();
    int code = OK;
    /* As some real libraries: once per process. */
    if (was_removed || device_open || !handle) code = OPENDEVICE;
    else {
        device_open = 1;
        counts.devices++;
        *handle = &device;
    }
    write_counts();
    pthread_mutex_unlock(&mutex);
    return code;
}

int SDF_CloseDevice(void *handle) {
    pthread_mutex_lock(&mutex);
    int code = handle == &device && device_open ? OK : INARGERR;
    if (code == OK) {
        device_open = 0;
        counts.leaked += counts.sessions;
        while (sessions) release(&sessions);
    }
    write_counts();
    pthread_mutex_unlock(&mutex);
    return code;
}

int SDF_OpenSession(void *handle, void **session) {
    pthread_mutex_lock(&mutex);
    long now = epoch();
    int code = OK;
    Session *made = NULL;
    if (was_removed) code = COMMFAIL;
    else if (handle != &device || !device_open || !session) code = INARGERR;
    else if (counts.sessions >= SESSIONS_MAX || !(made = calloc(1, sizeof *made))) code = OPENSESSION;
    else {
        made->epoch = now;
        made->next = sessions;
        sessions = made;
        counts.sessions++;
        *session = made;
    }
    write_counts();
    pthread_mutex_unlock(&mutex);
    return code;
}

int SDF_CloseSession(void *handle) {
    pthread_mutex_lock(&mutex);
    Session **link = find(handle);
    int code = *link ? OK : INARGERR;
    if (*link && (*link)->busy) {
        counts.overlaps++;
        code = STEPERR;
    } else if (*link) release(link);
    write_counts();
    pthread_mutex_unlock(&mutex);
    return code;
}

int SDF_GetDeviceInfo(void *handle, DeviceInfo *info) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    memset(info, 0, sizeof *info);
    memcpy(info->issuer, "Dolmen tests", 12);
    memcpy(info->name, "mock", 4);
    memcpy(info->serial, "2026010100100001", 16);
    info->version = 7;
    info->standard = 1;
    info->asymmetric[0] = 0x20000;
    info->asymmetric[1] = 256;
    info->symmetric = 0x400;
    info->hashes = SM3;
    info->buffer = 1 << 20;
    return leave(session, OK);
}

int SDF_GenerateRandom(void *handle, unsigned int length, unsigned char *bytes) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    return leave(session, RAND_bytes(bytes, (int)length) == 1 ? OK : COMMFAIL);
}

/* --- The right to use a key, which is a session's own --- */

static int has_right(const Session *session, unsigned int index) {
    for (int i = 0; i < session->rights_count; i++)
        if (session->rights[i] == index) return 1;
    return !exists("password");
}

int SDF_GetPrivateKeyAccessRight(void *handle, unsigned int index, const unsigned char *password, unsigned int length) {
    Session *session;
    unsigned char secret[32];
    char right[256];
    int code = enter(handle, &session);
    if (code != OK) return code;
    pthread_mutex_lock(&mutex);
    counts.access++;
    if (!password || !length) code = INARGERR;
    else if (!load_hex("key", index, secret, 32)) code = KEYNOTEXIST;
    else if (exists("locked") || wrong_in_a_row >= WRONG_MAX) code = LOCKED;
    else {
        int expected = load("password", right, sizeof right);
        if (expected >= 0 && ((unsigned int)expected != length || memcmp(right, password, length))) {
            counts.wrong++;
            wrong_in_a_row++;
            code = PRKRERR;
        } else {
            wrong_in_a_row = 0;
            if (!has_right(session, index) && session->rights_count < RIGHTS_MAX)
                session->rights[session->rights_count++] = index;
        }
    }
    write_counts();
    pthread_mutex_unlock(&mutex);
    return leave(session, code);
}

int SDF_ReleasePrivateKeyAccessRight(void *handle, unsigned int index) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    code = PARDENY;
    for (int i = 0; i < session->rights_count; i++)
        if (session->rights[i] == index) {
            session->rights[i] = session->rights[--session->rights_count];
            code = OK;
        }
    return leave(session, code);
}

/* --- SM2 --- */

static int public_key(unsigned int index, PublicKey *key) {
    unsigned char secret[32];
    if (!load_hex("key", index, secret, 32)) return KEYNOTEXIST;
    return sm2_public_key(secret, key) ? OK : KEYNOTEXIST;
}

int SDF_ExportSignPublicKey_ECC(void *handle, unsigned int index, PublicKey *key) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    return leave(session, public_key(index, key));
}

int SDF_InternalSign_ECC(void *handle, unsigned int index, const unsigned char *digest, unsigned int length,
                         Signature *signature) {
    Session *session;
    unsigned char secret[32];
    int code = enter(handle, &session);
    if (code != OK) return code;
    usleep((useconds_t)number_in("slow") * 1000);
    if (length != 32 || !digest || !signature) code = INARGERR;
    else if (!load_hex("key", index, secret, 32)) code = KEYNOTEXIST;
    else if (!has_right(session, index)) code = PARDENY;
    else if (!sm2_sign(secret, digest, signature)) code = SIGNERR;
    else if (exists("bad-signature")) signature->s[63] ^= 1;
    OPENSSL_cleanse(secret, sizeof secret);
    return leave(session, code);
}

static int verify(const PublicKey *key, const unsigned char *digest, unsigned int length, const Signature *signature) {
    if (length != 32 || key->bits != 256 || !is_aligned(key->x) || !is_aligned(key->y)) return INARGERR;
    if (!is_aligned(signature->r) || !is_aligned(signature->s)) return INARGERR;
    return sm2_holds(key, digest, signature) ? OK : VERIFYERR;
}

int SDF_InternalVerify_ECC(void *handle, unsigned int index, const unsigned char *digest, unsigned int length,
                           const Signature *signature) {
    Session *session;
    PublicKey key;
    int code = enter(handle, &session);
    if (code != OK) return code;
    code = public_key(index, &key);
    return leave(session, code == OK ? verify(&key, digest, length, signature) : code);
}

int SDF_ExternalVerify_ECC(void *handle, unsigned int algorithm, const PublicKey *key, const unsigned char *digest,
                           unsigned int length, const Signature *signature) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    return leave(session, algorithm == SM2_SIGN ? verify(key, digest, length, signature) : INARGERR);
}

/* --- SM3 --- */

int SDF_HashInit(void *handle, unsigned int algorithm, const PublicKey *key, const unsigned char *identity,
                 unsigned int length) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    if (algorithm != SM3 || (key && (!identity || !length || key->bits != 256))) return leave(session, INARGERR);
    if (!session->hash) session->hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(session->hash, EVP_sm3(), NULL);
    if (key) hash_identity(session->hash, key, identity, length);
    return leave(session, OK);
}

int SDF_HashUpdate(void *handle, const unsigned char *bytes, unsigned int length) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    if (!session->hash) return leave(session, STEPERR);
    EVP_DigestUpdate(session->hash, bytes, length);
    return leave(session, OK);
}

int SDF_HashFinal(void *handle, unsigned char *digest, unsigned int *length) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    if (!session->hash) code = STEPERR;
    else if (*length < 32) code = NOBUFFER;
    else {
        EVP_DigestFinal_ex(session->hash, digest, length);
        EVP_MD_CTX_free(session->hash);
        session->hash = NULL;
    }
    return leave(session, code);
}

/* --- SM4 --- */

static SessionKey *new_key(Session *session) {
    for (int i = 0; i < KEYS_MAX; i++)
        if (!session->keys[i].used) return &session->keys[i];
    return NULL;
}

/* How keys are wrapped: in ECB, or after an initialisation vector in CBC. */
static int wrapping(unsigned int algorithm, unsigned int *length) {
    int cbc = exists("kek-cbc");
    *length = cbc ? 32 : 16;
    return algorithm == (cbc ? SM4_CBC : SM4_ECB) ? OK : ALGMODNOTSUPPORT;
}

int SDF_GenerateKeyWithKEK(void *handle, unsigned int bits, unsigned int algorithm, unsigned int kek_index,
                           unsigned char *wrapped, unsigned int *length, void **key) {
    Session *session;
    unsigned char kek[16];
    unsigned int needed;
    int code = enter(handle, &session);
    if (code != OK) return code;
    SessionKey *made = new_key(session);
    code = wrapping(algorithm, &needed);
    if (code != OK) return leave(session, code);
    if (bits != 128 || !wrapped || !length || !key) code = INARGERR;
    else if (!made || *length < needed) code = NOBUFFER;
    else if (!load_hex("kek", kek_index, kek, 16)) code = KEYNOTEXIST;
    else {
        RAND_bytes(made->bytes, 16);
        made->used = 1;
        if (needed == 32) {
            RAND_bytes(wrapped, 16);
            sm4(EVP_sm4_cbc(), 1, kek, wrapped, made->bytes, 16, wrapped + 16);
        } else sm4(EVP_sm4_ecb(), 1, kek, NULL, made->bytes, 16, wrapped);
        *length = needed;
        *key = made;
    }
    return leave(session, code);
}

int SDF_ImportKeyWithKEK(void *handle, unsigned int algorithm, unsigned int kek_index, const unsigned char *wrapped,
                         unsigned int length, void **key) {
    Session *session;
    unsigned char kek[16];
    unsigned int needed;
    int code = enter(handle, &session);
    if (code != OK) return code;
    SessionKey *made = new_key(session);
    code = wrapping(algorithm, &needed);
    if (code != OK) return leave(session, code);
    if (length != needed || !wrapped || !key) code = INARGERR;
    else if (!made) code = NOBUFFER;
    else if (!load_hex("kek", kek_index, kek, 16)) code = KEYNOTEXIST;
    else {
        if (needed == 32) sm4(EVP_sm4_cbc(), 0, kek, wrapped, wrapped + 16, 16, made->bytes);
        else sm4(EVP_sm4_ecb(), 0, kek, NULL, wrapped, 16, made->bytes);
        made->used = 1;
        *key = made;
    }
    return leave(session, code);
}

static SessionKey *find_key(Session *session, void *handle) {
    for (int i = 0; i < KEYS_MAX; i++)
        if (handle == &session->keys[i] && session->keys[i].used) return &session->keys[i];
    return NULL;
}

int SDF_DestroyKey(void *handle, void *key) {
    Session *session;
    int code = enter(handle, &session);
    if (code != OK) return code;
    SessionKey *found = find_key(session, key);
    if (!found) return leave(session, KEYNOTEXIST);
    OPENSSL_cleanse(found, sizeof *found);
    return leave(session, OK);
}

/* Leaves the last block of the ciphertext in the initialisation vector, as some devices do. */
static int run_cipher(void *handle, int encrypt, void *key, unsigned int algorithm, unsigned char *iv,
                 const unsigned char *in, unsigned int length, unsigned char *out, unsigned int *out_length) {
    Session *session;
    unsigned char last[16];
    int code = enter(handle, &session);
    if (code != OK) return code;
    SessionKey *found = find_key(session, key);
    if (!found) code = KEYNOTEXIST;
    else if (algorithm != SM4_CBC) code = ALGMODNOTSUPPORT;
    else if (!iv || !in || !out || !out_length || !length || length % 16) code = INARGERR;
    else if (*out_length < length) code = NOBUFFER;
    else {
        memcpy(last, in + length - 16, 16);
        sm4(EVP_sm4_cbc(), encrypt, found->bytes, iv, in, length, out);
        memcpy(iv, encrypt ? out + length - 16 : last, 16);
        *out_length = length;
    }
    return leave(session, code);
}

int SDF_Encrypt(void *handle, void *key, unsigned int algorithm, unsigned char *iv, const unsigned char *in,
                unsigned int length, unsigned char *out, unsigned int *out_length) {
    return run_cipher(handle, 1, key, algorithm, iv, in, length, out, out_length);
}

int SDF_Decrypt(void *handle, void *key, unsigned int algorithm, unsigned char *iv, const unsigned char *in,
                unsigned int length, unsigned char *out, unsigned int *out_length) {
    return run_cipher(handle, 0, key, algorithm, iv, in, length, out, out_length);
}
