/* Encoder directories that lie: each is an error that names the file and the setting or tensor, before anything is sized by
 * it. */
#include "encoder/encoder.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/weir-hostile-XXXXXX";

static void write_text(const char *name, const char *text)
{
    char path[128];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(file_write_atomic(path, text, strlen(text), 0600, &err), 0, "%s", err.text);
}

static void begin(const char *weights)
{
    char path[128], *whole = realpath(weights, NULL);
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_not_null(whole, "%s: the shared fixtures are needed", weights);
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    cr_assert_eq(symlink(whole, path), 0);
    free(whole);
}

static void end(void)
{
    static const char *const names[] = {"config.json", "model.safetensors", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/1_Pooling", directory);
    rmdir(path);
    rmdir(directory);
}

/* Opens the directory; 0, or the error's status. */
static int try_open(struct model_info *info, struct error *err)
{
    struct model_file *file;
    struct encoder *encoder;
    struct model_options options = {.precision = PRECISION_EXACT};
    cr_assert_eq(model_file_open(&file, directory, err), 0, "%s: %s", err->where, err->text);
    int status = encoder_open(&encoder, file, &options, err);
    if (status == 0 && info != NULL)
        encoder_describe(encoder, info);
    if (status == 0)
        encoder_close(encoder);
    else
        cr_assert_null(encoder);
    model_file_close(file);
    return status;
}

/* The bert fixture's configuration with one member replaced. */
static void write_config(const char *key, const char *value)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 1 << 20);
    cr_assert_eq(file_read(WEIR_SHARED_DIR "/fixtures/hf/bert/config.json", &text, &err), 0);
    json_t *config = json_parse(buffer_str(&text), &err);
    buffer_clear(&text);
    if (key != NULL)
        json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL));
    json_write(config, &text);
    buffer_append_char(&text, '\0');
    write_text("config.json", text.data);
    json_decref(config);
    buffer_release(&text);
}

Test(encoder_hostile, a_setting_that_lies_is_named)
{
    static const struct {
        const char *key, *value, *where, *text;
        int status;
    } cases[] = {
        {"hidden_size", "0", "hidden_size", "0 is not in", WEIR_E_INVALID},
        {"hidden_size", "1000000000", "hidden_size", "is not in", WEIR_E_INVALID},
        {"hidden_size", "\"64\"", "hidden_size", "integer", WEIR_E_INVALID},
        {"hidden_size", "null", "hidden_size", "is missing", WEIR_E_INVALID},
        {"hidden_size", "128", "embeddings.word_embeddings", "shape [256, 64] where [256, 128]", WEIR_E_INVALID},
        {"num_attention_heads", "5", "num_attention_heads", "can't be shared", WEIR_E_INVALID},
        {"num_hidden_layers", "-1", "num_hidden_layers", "is not in", WEIR_E_INVALID},
        {"num_hidden_layers", "99999999", "num_hidden_layers", "is not in", WEIR_E_INVALID},
        {"num_hidden_layers", "3", "encoder.layer.2.attention.self.query", "is missing", WEIR_E_INVALID},
        {"vocab_size", "255", "word_embeddings", "shape", WEIR_E_INVALID},
        {"vocab_size", "9223372036854775807", "vocab_size", "is not in", WEIR_E_INVALID},
        {"max_position_embeddings", "127", "position_embeddings", "shape", WEIR_E_INVALID},
        {"type_vocab_size", "3", "token_type_embeddings", "shape", WEIR_E_INVALID},
        {"intermediate_size", "64", "intermediate.dense", "shape", WEIR_E_INVALID},
        {"hidden_act", "\"snake\"", "hidden_act", "\"snake\" is not supported", WEIR_E_UNSUPPORTED},
        {"position_embedding_type", "\"relative_key\"", "position_embedding_type", "absolute", WEIR_E_UNSUPPORTED},
        {"is_decoder", "true", "is_decoder", "not supported", WEIR_E_UNSUPPORTED},
        {"layer_norm_eps", "\"small\"", "layer_norm_eps", "number", WEIR_E_INVALID},
        {"architectures", "[\"BertForTokenClassification\"]", "classifier", "is missing", WEIR_E_INVALID},
    };
    begin(WEIR_SHARED_DIR "/fixtures/hf/bert/model.safetensors");
    write_config(NULL, NULL);
    struct error err = {0};
    cr_assert_eq(try_open(NULL, &err), 0, "%s: %s", err.where, err.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_config(cases[i].key, cases[i].value);
        cr_assert_eq(try_open(NULL, &err), cases[i].status, "%s %s: %s", cases[i].key, cases[i].value, err.text);
        cr_assert_not_null(strstr(err.where, directory), "where is %s", err.where);
        cr_assert_not_null(strstr(err.where, cases[i].where), "where is %s, not %s", err.where, cases[i].where);
        cr_assert_not_null(strstr(err.text, cases[i].text), "text is %s, not %s", err.text, cases[i].text);
    }
    end();
}

Test(encoder_hostile, module_files_say_how_to_pool_and_may_not_lead_outside)
{
    static const struct {
        const char *modules, *pooling, *text;
        int status;
    } cases[] = {
        {"[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"\"},{\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"1_Pooling\"}]",
         "{\"pooling_mode_cls_token\":true}", NULL, 0},
        {"{}", "{}", "must be an array", WEIR_E_INVALID},
        {"[{\"type\":\"x.Pooling\",\"path\":\"../1_Pooling\"}]", "{}", "inside the directory", WEIR_E_INVALID},
        {"[{\"type\":\"x.Pooling\",\"path\":\"/etc\"}]", "{}", "inside the directory", WEIR_E_INVALID},
        {"[{\"type\":\"x.Pooling\",\"path\":\"2_Pooling\"}]", "{}", "is missing", WEIR_E_INVALID},
        {"[{\"type\":\"x.Dense\",\"path\":\"2_Dense\"}]", "{}", "x.Dense is not supported", WEIR_E_UNSUPPORTED},
        {"[{\"type\":\"x.Pooling\",\"path\":\"1_Pooling\"}]", "{\"pooling_mode_cls_token\":true,\"pooling_mode_max_tokens\":true}", "several", WEIR_E_UNSUPPORTED},
        {"[{\"type\":\"x.Pooling\",\"path\":\"1_Pooling\"}]", "{\"pooling_mode_cls_token\":1}", "pooling_mode_cls_token", WEIR_E_INVALID},
        {"[{\"type\":\"x.Pooling\",\"path\":\"1_Pooling\"}", "{}", "", WEIR_E_INVALID},
    };
    begin(WEIR_SHARED_DIR "/fixtures/hf/bert/model.safetensors");
    char path[128];
    snprintf(path, sizeof path, "%s/1_Pooling", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    write_config(NULL, NULL);
    write_text("sentence_bert_config.json", "{\"max_seq_length\": 40}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_info info = {0};
        struct error err = {0};
        write_text("modules.json", cases[i].modules);
        write_text("1_Pooling/config.json", cases[i].pooling);
        cr_assert_eq(try_open(&info, &err), cases[i].status, "case %zu: %s: %s", i, err.where, err.text);
        if (cases[i].status == 0)
            cr_assert_eq(info.n_context, 40);
        else
            cr_assert_not_null(strstr(err.text, cases[i].text), "case %zu: text is %s", i, err.text);
    }
    end();
}
