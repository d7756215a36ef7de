/* SPDX-License-Identifier: MIT */
#include "lsm/memory/batch.h"

bool batch_add(struct batch *b, const struct batch_op *op)
{
	size_t before = b->ops.size;

	/* One reservation for the whole operation keeps the appends from failing half-way. */
	buf_reserve(&b->ops, 1 + 2 * VARINT_BYTES_MAX + op->key.size + op->value.size);
	buf_put_u8(&b->ops, (uint8_t)op->type);
	buf_put_slice(&b->ops, op->key);
	if (op->type != ENTRY_DELETE)
		buf_put_slice(&b->ops, op->value);
	if (b->ops.failed) {
		b->ops.failed = false;
		b->ops.size = before;
		return false;
	}
	b->count++;
	return true;
}

void batch_done(struct batch *b)
{
	buf_free(&b->ops);
	*b = (struct batch){ 0 };
}

bool batch_reader_init(struct batch_reader *br, struct lsm_slice record)
{
	br->r = reader_of(record);
	br->left = read_varint(&br->r);
	return !br->r.failed && br->left <= reader_left(&br->r);
}

void batch_reader_init_ops(struct batch_reader *br, const struct batch *b)
{
	br->r = reader_of(buf_slice(&b->ops));
	br->left = b->count;
}

int batch_next(struct batch_reader *br, struct batch_op *ret)
{
	uint8_t type;

	if (!br->left)
		return reader_left(&br->r) ? -1 : 0;
	br->left--;
	type = read_u8(&br->r);
	ret->key = read_slice(&br->r);
	ret->value = type == ENTRY_DELETE ? slice_of(NULL, 0) : read_slice(&br->r);
	if (br->r.failed || type > ENTRY_TYPE_MAX || !ret->key.size || ret->key.size > LSM_KEY_BYTES_MAX)
		return -1;
	if (type == ENTRY_RANGE_DELETE && slice_compare(ret->key, ret->value) >= 0)
		return -1;
	ret->type = (enum entry_type)type;
	return 1;
}
