/* SPDX-License-Identifier: MIT */
#include "tests/sim/oracle.h"

#include <stdlib.h>
#include <string.h>

struct oracle oracle;

/* ---- keys and values ---- */

/* "a 07", and some keys with a tail. */
struct lsm_slice client_key(const struct client *c, unsigned key, char buf[KEY_BYTES_MAX])
{
	int n = snprintf(buf, KEY_BYTES_MAX, "%c %02u", 'a' + (int)c->number, key);

	if (key % 5 == 3) {
		memset(buf + n, '.', 100);
		n += 100;
	}
	return (struct lsm_slice){ buf, (size_t)n };
}

void key_parse(struct lsm_slice key, unsigned *ret_client, unsigned *ret_key)
{
	char buf[KEY_BYTES_MAX] = "", again[KEY_BYTES_MAX];
	struct lsm_slice same = { 0 };
	char client = 0;
	unsigned k = 0;

	if (key.size < KEY_BYTES_MAX)
		memcpy(buf, key.data, key.size);
	if (sscanf(buf, "%c %2u", &client, &k) == 2 && client >= 'a' && client < 'a' + (int)oracle.clients_n &&
	    k < KEYS)
		same = client_key(&oracle.clients[client - 'a'], k, again);
	if (same.size != key.size || memcmp(same.data, key.data, key.size))
		sim_fail("the store has a key that nobody put: '%s'", buf);
	*ret_client = (unsigned)(client - 'a');
	*ret_key = k;
}

struct value_head {
	value_id id;
	uint32_t client, key, size, unused;
};

/* Bytes behind the head; every other value can be compressed. */
static void value_fill(uint8_t *p, const struct value_head *head)
{
	struct rng rng = { head->id * 1000003 + head->client * 101 + head->key };
	uint64_t word = 0;

	for (uint32_t at = sizeof(*head); at < head->size; at += sizeof(word)) {
		size_t n = head->size - at < sizeof(word) ? head->size - at : sizeof(word);

		if (!word || head->id & 256 || at % 128 == 0)
			word = rng_next(&rng);
		memcpy(p + at, &word, n);
	}
}

void *value_make(const struct client *c, value_id id, unsigned key, uint32_t size)
{
	struct value_head head = { id, c->number, key, size, 0 };
	uint8_t *p = malloc(size);

	if (!p || size < sizeof(head))
		sim_fail("a value of %u bytes can't be made", size);
	memcpy(p, &head, sizeof(head));
	value_fill(p, &head);
	return p;
}

value_id value_check(const struct client *c, unsigned key, struct lsm_slice value)
{
	struct value_head head;
	uint8_t *want;

	if (value.size < sizeof(head))
		sim_fail("key %c %02u has a value of %zu bytes", 'a' + c->number, key, value.size);
	memcpy(&head, value.data, sizeof(head));
	if (head.client != c->number || head.key != key || head.size != value.size)
		sim_fail("key %c %02u has a value of %zu bytes that was put to %c %02u with %u", 'a' + c->number, key,
			 value.size, 'a' + (head.client & 15), head.key, head.size);
	want = value_make(c, head.id, key, head.size);
	if (memcmp(want, value.data, value.size))
		sim_fail("the value of key %c %02u, of operation %llu, has wrong bytes", 'a' + c->number, key,
			 (unsigned long long)(head.id >> 8));
	free(want);
	return head.id;
}

/* ---- the history ---- */

struct op_record *oracle_begin(struct client *c)
{
	struct op_record *op = &c->ops[c->ops_n++];

	if (c->ops_n > OPS_MAX)
		sim_fail("more than %d operations", OPS_MAX);
	*op = (struct op_record){ .number = ++c->last_op, .began = sim.steps };
	return op;
}

void changes_apply(const struct op_record *op, value_id *keys)
{
	for (unsigned i = 0; i < op->n; i++)
		for (unsigned k = op->changes[i].begin; k < op->changes[i].end; k++)
			keys[k] = op->changes[i].size ? change_id(op, i) : 0;
}

void oracle_done(struct client *c)
{
	struct op_record *op = &c->ops[c->ops_n - 1];

	op->state = OP_DONE;
	op->ended = sim.steps;
	changes_apply(op, c->now);
	/* The store takes writes: those that it refused before are not in it. */
	for (unsigned i = c->ops_n - 1; i--;)
		if (c->ops[i].state == OP_REFUSED)
			c->ops[i].state = OP_VOID;
		else
			break;
}

void oracle_refused(struct client *c, bool void_for_sure)
{
	c->ops[c->ops_n - 1].state = void_for_sure ? OP_VOID : OP_REFUSED;
}

/* What was refused last may be there or not. */
static unsigned acknowledged(const struct client *c)
{
	unsigned n = c->ops_n;

	while (n && c->ops[n - 1].state != OP_DONE)
		n--;
	return n;
}

struct moment oracle_now(void)
{
	struct moment m = { 0 };

	for (unsigned i = 0; i < oracle.clients_n; i++)
		m.done[i] = acknowledged(&oracle.clients[i]);
	return m;
}

void oracle_durable(const struct moment *m)
{
	for (unsigned i = 0; i < oracle.clients_n; i++)
		if (m->done[i] > oracle.clients[i].durable_n)
			oracle.clients[i].durable_n = m->done[i];
}

/* ---- judgement ---- */

/* Beginnings of a client's history that lead to what was found. */
struct fit {
	unsigned least, most; /* operations; least > most: none */
};

static struct fit fit_find(const struct client *c, const value_id *found)
{
	struct fit fit = { UINT32_MAX, 0 };
	value_id keys[KEYS];

	memcpy(keys, c->base, sizeof(keys));
	for (unsigned n = 0;; n++) {
		if (!memcmp(keys, found, sizeof(keys))) {
			if (fit.least == UINT32_MAX)
				fit.least = n;
			fit.most = n;
		}
		if (n == c->ops_n)
			break;
		if (c->ops[n].state != OP_VOID)
			changes_apply(&c->ops[n], keys);
	}
	return fit;
}

static void history_tell(const struct client *c, const value_id *found)
{
	static const char *const states[] = { "pending", "done", "refused", "void" };

	for (unsigned n = 0; n < c->ops_n; n++) {
		const struct op_record *op = &c->ops[n];

		fprintf(stderr, "  %c operation %llu, steps %llu to %llu, %s:", 'a' + c->number,
			(unsigned long long)op->number, (unsigned long long)op->began, (unsigned long long)op->ended,
			states[op->state]);
		for (unsigned i = 0; i < op->n; i++)
			fprintf(stderr, " [%02u,%02u)=%u", op->changes[i].begin, op->changes[i].end,
				op->changes[i].size);
		fprintf(stderr, "\n");
	}
	fprintf(stderr, "  found:");
	for (unsigned k = 0; k < KEYS; k++)
		fprintf(stderr, " %llu", (unsigned long long)(found[k] >> 8));
	fprintf(stderr, "\n");
}

static struct fit fit_check(const struct client *c, const value_id *found, bool all)
{
	struct fit fit = fit_find(c, found);
	unsigned need = all ? acknowledged(c) : c->durable_n;

	if (fit.least > fit.most) {
		history_tell(c, found);
		sim_fail("client %c: what is there is no beginning of its history", 'a' + c->number);
	}
	if (fit.most < need) {
		history_tell(c, found);
		sim_fail("client %c: %u operations of %u are there, but %u %s", 'a' + c->number, fit.most, c->ops_n,
			 need, all ? "were acknowledged" : "were durable");
	}
	return fit;
}

/* What `c` has kept for sure came before nothing that is lost: of client `other`, all that had been acknowledged then. */
static void order_check(const struct client *c, const struct fit *fit, const struct client *other,
			const struct fit *other_fit)
{
	const struct op_record *last;

	if (!fit->least)
		return;
	last = &c->ops[fit->least - 1];
	for (unsigned n = other_fit->most; n < other->ops_n; n++)
		if (other->ops[n].state == OP_DONE && other->ops[n].ended < last->began)
			sim_fail("client %c: operation %u is there, and %u of client %c, which it came behind, is not",
				 'a' + c->number, fit->least - 1, n, 'a' + other->number);
}

/* What is durable needs no history. */
static void history_cut(struct client *c)
{
	for (unsigned i = 0; i < c->durable_n; i++)
		if (c->ops[i].state != OP_VOID)
			changes_apply(&c->ops[i], c->base);
	c->ops_n -= c->durable_n;
	memmove(c->ops, c->ops + c->durable_n, c->ops_n * sizeof(*c->ops));
	c->durable_n = 0;
}

static void op_found(struct op_record *op)
{
	op->state = OP_DONE;
	op->ended = sim.steps;
}

static void next_life(struct client *c, const struct fit *fit, const value_id *found, bool durable)
{
	memcpy(c->now, found, sizeof(c->now));
	c->ops_n = fit->most;
	for (unsigned i = 0; i < c->ops_n; i++)
		if (c->ops[i].state == OP_PENDING || c->ops[i].state == OP_REFUSED)
			op_found(&c->ops[i]);
	if (durable)
		c->durable_n = c->ops_n;
	history_cut(c);
}

void oracle_settle(value_id (*found)[KEYS], bool all, bool durable)
{
	struct fit fits[CLIENTS_MAX];

	for (unsigned i = 0; i < oracle.clients_n; i++)
		fits[i] = fit_check(&oracle.clients[i], found[i], all);
	for (unsigned i = 0; i < oracle.clients_n; i++)
		for (unsigned k = 0; k < oracle.clients_n; k++)
			if (i != k)
				order_check(&oracle.clients[i], &fits[i], &oracle.clients[k], &fits[k]);
	for (unsigned i = 0; i < oracle.clients_n; i++)
		next_life(&oracle.clients[i], &fits[i], found[i], durable);
}
