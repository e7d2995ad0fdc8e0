// The renderer. What it allocates here it hands over or frees; what it gives to the fragment cache is another story.
#include "markdown.h"

#include <stdlib.h>
#include <string.h>

#include "fragment_cache.h"

struct buffer {
  char* text;
  size_t length, capacity;
};

static int buffer_append(struct buffer* out, const char* text, size_t length) {
  if (out->capacity - out->length < length + 1) {
    size_t capacity = (out->length + length + 1) * 2;
    char* grown = realloc(out->text, capacity);
    if (!grown) return 0;
    out->text = grown;
    out->capacity = capacity;
  }
  memcpy(out->text + out->length, text, length);
  out->length += length;
  out->text[out->length] = '\0';
  return 1;
}

static int append_string(struct buffer* out, const char* text) { return buffer_append(out, text, strlen(text)); }

static int append_escaped(struct buffer* out, const char* text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    const char* entity = text[i] == '<' ? "&lt;" : text[i] == '>' ? "&gt;" : text[i] == '&' ? "&amp;" : NULL;
    if (!(entity ? append_string(out, entity) : buffer_append(out, text + i, 1))) return 0;
  }
  return 1;
}

// One block of text: a heading when it starts with '#', else a paragraph.
static char* render_block(const char* text, size_t length) {
  struct buffer out = {0};
  const char* tag = length > 0 && text[0] == '#' ? "h1>" : "p>";
  size_t skip = tag[0] == 'h' ? strspn(text, "# ") : 0;
  if (append_string(&out, "<") && append_string(&out, tag) && append_escaped(&out, text + skip, length - skip) &&
      append_string(&out, "</") && append_string(&out, tag) && append_string(&out, "\n")) {
    return out.text;
  }
  free(out.text);
  return NULL;
}

static size_t block_length(const char* text) {
  const char* end = strstr(text, "\n\n");
  return end ? (size_t)(end - text) : strlen(text);
}

char* markdown_render(const char* source) {
  struct buffer page = {0};
  const unsigned long revision = fragment_cache_next_revision();
  append_string(&page, "");
  while (*(source += strspn(source, "\n"))) {
    const size_t length = block_length(source);
    const char* cached = fragment_cache_get(revision, source, length);
    if (cached) {
      append_string(&page, cached);
    } else {
      char* html = render_block(source, length);
      if (html) {
        append_string(&page, html);
        fragment_cache_put(revision, source, length, html);
      }
      free(html);
    }
    source += length;
  }
  return page.text;
}

size_t markdown_words(const char* source) {
  char* text = strdup(source);
  size_t words = 0;
  char* rest = text;
  while (rest && strtok_r(rest, " \n\t", &rest)) words++;
  free(text);
  return words;
}
