/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TEXTS_H
#define TEXTS_H

/* What a value is, as far as a shell can help with it. */
enum texts_value { VALUE_NONE, VALUE_FILE, VALUE_CHOICE, VALUE_OTHER };

/* @value: as the option table has it */
enum texts_value texts_value_of(const char *value);

/* Print text with each of the characters in @special behind an @escape. */
void texts_print_escaped(const char *text, const char *special, const char *escape);

/* Print the choices of a value with a blank between them. */
void texts_print_choices(const char *value);

/* The texts, on standard output. */
void texts_man(void);
void texts_bash(void);
void texts_zsh(void);
void texts_fish(void);

#endif
