/* Any bytes are a template: it compiles or is refused, and a rendering ends within small bounds. */
#include "weir_runtime.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static json_t *context;
    struct chat_template *template = NULL;
    struct template_limits limits = {.max_steps = 20000, .max_output_bytes = 1 << 16, .max_memory_bytes = 4 << 20, .max_depth = 40, .now_unix = 1};
    enum template_failure failure;
    if (context == NULL)
        context = json_pack("{s:[{s:s,s:s},{s:s,s:[{s:s,s:s}]}],s:{s:i,s:f,s:n},s:s,s:b}", "messages", "role", "system", "content", "Be brief.\n",
                            "role", "user", "content", "type", "text", "text", "Gr\xc3\xbc\xc3\x9f dich", "d", "a", 1, "b", 2.5, "c", "s", "x<y> '\"", "add_generation_prompt", 1);
    if (template_compile(&template, (str){(const char *)data, n_bytes}, NULL) < 0)
        return 0;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    if (template_render(template, context, &limits, &out, &failure, NULL) < 0 && out.n > 0)
        abort(); /* A failed rendering gives out no text. */
    buffer_release(&out);
    template_free(template);
    return 0;
}
