/* Between the backend and SoftHSM: passes calls on, counts sessions and logins, and has the faults of real tokens.
 *
 * Files in the directory that this library lies in say what to do, so that a test needs no environment:
 *
 *   softhsm.so     SoftHSM, a copy: one that is loaded twice would be one for all tests of a process
 *   softhsm2.conf  its configuration
 *   removed        while it is there, so is no token
 *   locked         while it is there, no PIN is taken
 *   full           while it is there, no key fits
 *   stubborn       while it is there, no attribute changes
 *   changes        how many attributes change before the token is pulled out; then removed is there
 *   forget         the next call ends all sessions first, and removes the file
 *   sessions       how many sessions are open (written)
 *   logins         how often a PIN was presented (written)
 *
 * pkcs11f.h of PKCS #11 2.40 has the order of the functions. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong_t;
typedef ulong_t rv_t;
typedef void (*function_t)(void);

enum {
	OK = 0, ATTRIBUTE_READ_ONLY = 0x10, DEVICE_MEMORY = 0x31, DEVICE_REMOVED = 0x32, PIN_LOCKED = 0xa4,
	TOKEN_NOT_PRESENT = 0xe0
};

enum {
	INITIALIZE = 0, GET_FUNCTION_LIST = 3, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, CLOSE_SESSION = 13,
	CLOSE_ALL_SESSIONS = 14, LOGIN = 18, CREATE_OBJECT = 20, DESTROY_OBJECT = 22, GET_ATTRIBUTE_VALUE = 24,
	SET_ATTRIBUTE_VALUE = 25, FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27, SIGN_INIT = 42, SIGN = 43,
	GENERATE_KEY_PAIR = 59, FUNCTIONS = 68
};

struct list {
	unsigned char version[2];
	function_t functions[FUNCTIONS];
};

static struct list *real;
static struct list ours;
static char directory[4096];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long sessions, logins;

#define REAL_CALL(index, ...) ((rv_t(*)(__VA_ARGS__))real->functions[index])

static const char *path_of(const char *name, char *buffer, size_t length)
{
	snprintf(buffer, length, "%s/%s", directory, name);
	return buffer;
}

static int is_there(const char *name)
{
	char path[4200];
	return access(path_of(name, path, sizeof path), F_OK) == 0;
}

static void tell(const char *name, long number)
{
	char path[4200], other[4200];
	FILE *file = fopen(path_of("telling", other, sizeof other), "w");
	if (!file)
		abort();
	fprintf(file, "%ld\n", number);
	fclose(file);
	/* A reader sees the old number or the new one, never half a file. */
	if (rename(other, path_of(name, path, sizeof path)))
		abort();
}

static void end_all_sessions(void)
{
	ulong_t slots[64], count = 64;
	if (REAL_CALL(GET_SLOT_LIST, unsigned char, ulong_t *, ulong_t *)(1, slots, &count) != OK)
		return;
	for (ulong_t i = 0; i < count; i++)
		REAL_CALL(CLOSE_ALL_SESSIONS, ulong_t)(slots[i]);
	sessions = 0;
	tell("sessions", sessions);
}

/* What goes before each call of a session: DEVICE_REMOVED while no token is there. */
static rv_t fault(void)
{
	char path[4200];
	int removed;
	pthread_mutex_lock(&lock);
	removed = is_there("removed");
	/* A token that is pulled out forgets its sessions. */
	if ((removed && sessions > 0) || unlink(path_of("forget", path, sizeof path)) == 0)
		end_all_sessions();
	pthread_mutex_unlock(&lock);
	return removed ? DEVICE_REMOVED : OK;
}

#define PASS_ON(name, index, types, names)                  \
	static rv_t name types                              \
	{                                                   \
		rv_t rv = fault();                          \
		if (rv != OK)                               \
			return rv;                          \
		return ((rv_t(*) types)real->functions[index])names; \
	}

PASS_ON(create_object, CREATE_OBJECT, (ulong_t s, void *t, ulong_t n, ulong_t *o), (s, t, n, o))
PASS_ON(destroy_object, DESTROY_OBJECT, (ulong_t s, ulong_t o), (s, o))
PASS_ON(get_attribute_value, GET_ATTRIBUTE_VALUE, (ulong_t s, ulong_t o, void *t, ulong_t n), (s, o, t, n))
PASS_ON(find_objects_init, FIND_OBJECTS_INIT, (ulong_t s, void *t, ulong_t n), (s, t, n))
PASS_ON(find_objects, FIND_OBJECTS, (ulong_t s, ulong_t *o, ulong_t n, ulong_t *c), (s, o, n, c))
PASS_ON(sign_init, SIGN_INIT, (ulong_t s, void *m, ulong_t k), (s, m, k))
PASS_ON(sign, SIGN, (ulong_t s, void *d, ulong_t n, void *o, ulong_t *l), (s, d, n, o, l))

static rv_t initialize(void *arguments)
{
	char path[4200];
	setenv("SOFTHSM2_CONF", path_of("softhsm2.conf", path, sizeof path), 1);
	return REAL_CALL(INITIALIZE, void *)(arguments);
}

static rv_t get_slot_list(unsigned char present, ulong_t *slots, ulong_t *count)
{
	if (present && fault() != OK) {
		*count = 0;
		return OK;
	}
	return REAL_CALL(GET_SLOT_LIST, unsigned char, ulong_t *, ulong_t *)(present, slots, count);
}

static rv_t get_token_info(ulong_t slot, void *info)
{
	if (fault() != OK)
		return TOKEN_NOT_PRESENT;
	return REAL_CALL(GET_TOKEN_INFO, ulong_t, void *)(slot, info);
}

static rv_t open_session(ulong_t slot, ulong_t flags, void *application, void *notify, ulong_t *session)
{
	rv_t rv;
	if (fault() != OK)
		return TOKEN_NOT_PRESENT;
	pthread_mutex_lock(&lock);
	rv = REAL_CALL(OPEN_SESSION, ulong_t, ulong_t, void *, void *, ulong_t *)(slot, flags, application, notify, session);
	if (rv == OK)
		tell("sessions", ++sessions);
	pthread_mutex_unlock(&lock);
	return rv;
}

static rv_t close_session(ulong_t session)
{
	rv_t rv = fault();
	if (rv != OK)
		return rv;
	pthread_mutex_lock(&lock);
	rv = REAL_CALL(CLOSE_SESSION, ulong_t)(session);
	if (rv == OK)
		tell("sessions", --sessions);
	pthread_mutex_unlock(&lock);
	return rv;
}

static rv_t login(ulong_t session, ulong_t user, void *pin, ulong_t length)
{
	rv_t rv = fault();
	if (rv != OK)
		return rv;
	pthread_mutex_lock(&lock);
	tell("logins", ++logins);
	pthread_mutex_unlock(&lock);
	if (is_there("locked"))
		return PIN_LOCKED;
	return REAL_CALL(LOGIN, ulong_t, ulong_t, void *, ulong_t)(session, user, pin, length);
}

static rv_t generate_key_pair(ulong_t s, void *m, void *p, ulong_t pn, void *q, ulong_t qn, ulong_t *po, ulong_t *qo)
{
	rv_t rv = fault();
	if (rv != OK)
		return rv;
	if (is_there("full"))
		return DEVICE_MEMORY;
	return REAL_CALL(GENERATE_KEY_PAIR, ulong_t, void *, void *, ulong_t, void *, ulong_t, ulong_t *, ulong_t *)(
		s, m, p, pn, q, qn, po, qo);
}

/* Whether the token is pulled out before another attribute changes. */
static int is_last_change(void)
{
	char path[4200];
	long left = 0;
	FILE *file = fopen(path_of("changes", path, sizeof path), "r");
	if (!file)
		return 0;
	if (fscanf(file, "%ld", &left) != 1)
		abort();
	fclose(file);
	tell(left > 0 ? "changes" : "removed", left - 1);
	return left == 0;
}

static rv_t set_attribute_value(ulong_t session, ulong_t object, void *template, ulong_t count)
{
	rv_t rv;
	int last;
	if (is_there("stubborn"))
		return ATTRIBUTE_READ_ONLY;
	pthread_mutex_lock(&lock);
	last = is_last_change();
	pthread_mutex_unlock(&lock);
	rv = fault();
	if (rv != OK || last)
		return DEVICE_REMOVED;
	return REAL_CALL(SET_ATTRIBUTE_VALUE, ulong_t, ulong_t, void *, ulong_t)(session, object, template, count);
}

rv_t C_GetFunctionList(struct list **list);

static void load(void)
{
	Dl_info self;
	char path[4200];
	void *library;
	rv_t (*get)(struct list **);
	if (!dladdr((void *)C_GetFunctionList, &self) || strlen(self.dli_fname) >= sizeof directory)
		abort();
	strcpy(directory, self.dli_fname);
	*strrchr(directory, '/') = '\0';
	library = dlopen(path_of("softhsm.so", path, sizeof path), RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		abort();
	}
	*(void **)&get = dlsym(library, "C_GetFunctionList");
	if (!get || get(&real) != OK)
		abort();
	ours = *real;
	const struct {
		int index;
		function_t function;
	} replaced[] = {
		{ INITIALIZE, (function_t)initialize },
		{ GET_FUNCTION_LIST, (function_t)C_GetFunctionList },
		{ GET_SLOT_LIST, (function_t)get_slot_list },
		{ GET_TOKEN_INFO, (function_t)get_token_info },
		{ OPEN_SESSION, (function_t)open_session },
		{ CLOSE_SESSION, (function_t)close_session },
		{ LOGIN, (function_t)login },
		{ CREATE_OBJECT, (function_t)create_object },
		{ DESTROY_OBJECT, (function_t)destroy_object },
		{ GET_ATTRIBUTE_VALUE, (function_t)get_attribute_value },
		{ SET_ATTRIBUTE_VALUE, (function_t)set_attribute_value },
		{ FIND_OBJECTS_INIT, (function_t)find_objects_init },
		{ FIND_OBJECTS, (function_t)find_objects },
		{ SIGN_INIT, (function_t)sign_init },
		{ SIGN, (function_t)sign },
		{ GENERATE_KEY_PAIR, (function_t)generate_key_pair },
	};
	for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
		ours.functions[replaced[i].index] = replaced[i].function;
	tell("sessions", 0);
	tell("logins", 0);
}

rv_t C_GetFunctionList(struct list **list)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, load);
	*list = &ours;
	return OK;
}
