/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_TMP_DIR_H
#define TESTS_SUPPORT_TMP_DIR_H
/* tmp_dir - a directory of a test's own, and files in it as bytes. All of it aborts when the system fails. */
#include <stddef.h>
#include <stdint.h>

/* Makes a directory; its path is malloc'd. */
char *tmp_dir_new(void);
/* Removes the directory with the files in it, and frees the path. */
void tmp_dir_free(char *dir);
/* Removes the files in it. */
void tmp_dir_clear(const char *dir);

/* DIR/NAME, in a buffer of the thread that the next call but seven overwrites. */
const char *tmp_path(const char *dir, const char *name);

/* The whole file, malloc'd. */
uint8_t *tmp_file_load(const char *path, size_t *ret_size);
/* Creates or replaces the file. */
void tmp_file_store(const char *path, const void *data, size_t size);
/* Changes one byte of the file by exclusive or. */
void tmp_file_flip(const char *path, size_t offset, uint8_t bits);

#endif
