/* Regex syntax: a regular expression of ECMA-262 to an expression. */
#ifndef WEIR_GRAMMAR_REGEX_SYNTAX_H
#define WEIR_GRAMMAR_REGEX_SYNTAX_H

#include "grammar/expression.h"

/* The texts that contain a match (^ and $ at the pattern's ends tie it down). as_json: as they stand between the quotes of a JSON
 * string. err's where is `what`; WEIR_E_UNSUPPORTED for look-around, back references and anchors elsewhere. */
int regex_expression(struct expr **out, struct grammar_builder *builder, str pattern, bool as_json, const char *what, struct error *err) WEIR_CHECKED;

#endif
