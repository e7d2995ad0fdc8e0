// A Markdown renderer, as small as it can be and still look like one: headings, paragraphs, escaping.
#ifndef MARKDOWN_H_
#define MARKDOWN_H_

#include <stddef.h>

// Renders a document. The caller frees the result. NULL when memory runs out.
char* markdown_render(const char* source);

// The number of words in a document.
size_t markdown_words(const char* source);

#endif
