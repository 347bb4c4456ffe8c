/* YAML files, parsed through libyaml's events into the value tree. Anchors, aliases, tags and
 * multiple documents are refused: a config does not need them, and nested aliases can expand
 * exponentially. */
#ifndef HOST_BASE_YAML_H
#define HOST_BASE_YAML_H

#include "host/base/value.h"

/* Parses text; `source` names it in messages. Release the tree even after a failure. */
mien_status mien_yaml_parse(const char *text, size_t size, const char *source, mien_tree *tree);
/* Reads a file of at most 4 MiB. */
mien_status mien_yaml_read(const char *path, mien_tree *tree);

#endif
