/*
 * What the device of sdf.c knows: its directory, its sessions, and what it counts.
 */
#include <dlfcn.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sm.h"

enum {
    OK = 0,
    COMMFAIL = 0x01000003,
    OPENDEVICE = 0x01000005,
    OPENSESSION = 0x01000006,
    PARDENY = 0x01000007,
    KEYNOTEXIST = 0x01000008,
    ALGMODNOTSUPPORT = 0x0100000a,
    SIGNERR = 0x0100000d,
    VERIFYERR = 0x0100000e,
    STEPERR = 0x01000010,
    PRKRERR = 0x01000018,
    NOBUFFER = 0x0100001c,
    INARGERR = 0x0100001d,
    /* Of this maker, from here on. */
    LOCKED = 0x01000021,
};

enum { SM3 = 0x1, SM4_ECB = 0x401, SM4_CBC = 0x402, SM2_SIGN = 0x20200 };
enum { SESSIONS_MAX = 6, RIGHTS_MAX = 16, KEYS_MAX = 8, WRONG_MAX = 5 };

typedef struct {
    unsigned char issuer[40], name[16], serial[16];
    unsigned int version, standard, asymmetric[2], symmetric, hashes, buffer;
} DeviceInfo;

typedef struct {
    int used;
    unsigned char bytes[16];
} SessionKey;

typedef struct Session {
    struct Session *next;
    long epoch;
    int busy;
    unsigned int rights[RIGHTS_MAX];
    int rights_count;
    EVP_MD_CTX *hash;
    SessionKey keys[KEYS_MAX];
} Session;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int device; /* Its address is the handle of the one device. */
static int device_open;
static Session *sessions;
static int was_removed;
static long removals;
static int wrong_in_a_row;
static struct {
    int sessions, devices, access, wrong, leaked, overlaps;
} counts;

static void path_of(const char *name, char path[4096]) {
    Dl_info info;
    char library[4000];
    dladdr((void *)&device, &info);
    snprintf(library, sizeof library, "%s", info.dli_fname);
    char *slash = strrchr(library, '/');
    if (slash) *slash = 0;
    snprintf(path, 4096, "%s/%s", library, name);
}

/* The length of a file's content without white space at its end, or -1. */
static int load(const char *name, char *text, int size) {
    char path[4096];
    path_of(name, path);
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    int length = (int)fread(text, 1, (size_t)size - 1, file);
    fclose(file);
    while (length > 0 && strchr(" \n", text[length - 1])) length--;
    text[length] = 0;
    return length;
}

static int exists(const char *name) {
    char path[4096];
    path_of(name, path);
    return access(path, F_OK) == 0;
}

static long number_in(const char *name) {
    char text[32];
    return load(name, text, sizeof text) < 0 ? 0 : atol(text);
}

/* Hexadecimal digits of a file; whether there are so many. */
static int load_hex(const char *kind, unsigned int index, unsigned char *bytes, int length) {
    char name[64], text[256];
    snprintf(name, sizeof name, "%s-%u", kind, index);
    if (load(name, text, sizeof text) != 2 * length) return 0;
    for (int i = 0; i < length; i++)
        if (sscanf(text + 2 * i, "%2hhx", &bytes[i]) != 1) return 0;
    return 1;
}

/* Renamed into place, so that nobody reads half of it. */
static void write_counts(void) {
    char path[4096], fresh[4096];
    path_of("counts", path);
    path_of("counts.new", fresh);
    FILE *file = fopen(fresh, "w");
    if (!file) return;
    fprintf(file, "sessions %d\ndevices %d\naccess %d\nwrong %d\nleaked %d\noverlaps %d\n", counts.sessions,
            counts.devices, counts.access, counts.wrong, counts.leaked, counts.overlaps);
    fclose(file);
    rename(fresh, path);
}

/* Changes when sessions become invalid. */
static long epoch(void) {
    int removed = exists("removed");
    if (removed && !was_removed) removals++;
    was_removed = removed;
    return removals * 1000000 + number_in("forget");
}

static Session **find(void *handle) {
    Session **link = &sessions;
    while (*link && *link != handle) link = &(*link)->next;
    return link;
}

/* Takes a session for one call; leave() ends it. */
static int enter(void *handle, Session **session) {
    pthread_mutex_lock(&mutex);
    int code = OK;
    long now = epoch();
    Session *found = *find(handle);
    if (was_removed) code = COMMFAIL;
    else if (!found || found->epoch != now) code = INARGERR;
    else if (found->busy) {
        counts.overlaps++;
        write_counts();
        code = STEPERR;
    } else {
        found->busy = 1;
        *session = found;
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

static int leave(Session *session, int code) {
    pthread_mutex_lock(&mutex);
    session->busy = 0;
    pthread_mutex_unlock(&mutex);
    return code;
}

static void release(Session **link) {
    Session *session = *link;
    *link = session->next;
    EVP_MD_CTX_free(session->hash);
    OPENSSL_cleanse(session, sizeof *session);
    free(session);
    counts.sessions--;
}
