/* How much of a solution's work the form of its question tells, and the table of classifier/work.inc.
 *
 * usage: xz -dc ../shared/data/routing/gsm8k/train.jsonl.xz > train.jsonl
 *        build/release/tests/bench_work train.jsonl [work.inc]
 *
 * Lines {"question", "answer"}: answers with their calculations between << and >> and the result after ####. Prints, for each part
 * of the work, the share of its variance that a fit of four fifths of the lines explains on the last fifth; with a second
 * argument writes the table of a fit of all lines there. */
#include "surface.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double PENALTY = 30;
enum { N = N_SHAPE };

static const char *const names[N_WORK] = {"steps", "lines", "length", "operations", "sums", "differences", "products", "quotients", "decimals", "result", "percent", "numbers"};

struct rows {
    size_t n;
    float (*shapes)[N_SURFACE];
    double (*work)[N_WORK];
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void work_read(str text, double out[N_WORK])
{
    double different[64];
    size_t n_different = 0, end = text.n;
    bool inside = false;
    memset(out, 0, N_WORK * sizeof *out);
    for (size_t i = 0; i + 3 < text.n; i++)
        if (memcmp(text.data + i, "####", 4) == 0)
            end = i;
    double result = 0;
    for (size_t i = end; i < text.n; i++)
        if (is_digit(text.data[i]))
            result = result * 10 + (text.data[i] - '0');
    str solution = str_trim((str){text.data, end});
    out[WORK_LINES] = 1;
    for (size_t i = 0; i < solution.n; i++) {
        char c = solution.data[i];
        out[WORK_LINES] += c == '\n';
        out[WORK_PERCENT] = c == '%' ? 1 : out[WORK_PERCENT];
        if (c == '<' && i + 1 < solution.n && solution.data[i + 1] == '<') {
            inside = true;
            out[WORK_STEPS]++;
        } else if (c == '>') {
            inside = false;
        }
        if (!inside)
            continue;
        out[WORK_SUMS] += c == '+';
        out[WORK_DIFFERENCES] += c == '-';
        out[WORK_PRODUCTS] += c == '*';
        out[WORK_QUOTIENTS] += c == '/';
        out[WORK_DECIMALS] = c == '.' ? 1 : out[WORK_DECIMALS];
        if (is_digit(c) && !is_digit(solution.data[i - 1]) && solution.data[i - 1] != '.') {
            double value = strtod(solution.data + i, NULL);
            bool fresh = n_different < 64;
            for (size_t k = 0; k < n_different && fresh; k++)
                fresh = different[k] != value;
            if (fresh)
                different[n_different++] = value;
        }
    }
    out[WORK_LENGTH] = log((double)text.n + 1);
    out[WORK_OPERATIONS] = out[WORK_SUMS] + out[WORK_DIFFERENCES] + out[WORK_PRODUCTS] + out[WORK_QUOTIENTS];
    out[WORK_RESULT] = log1p(result);
    out[WORK_NUMBERS] = (double)n_different;
}

static int rows_read(struct rows *rows, const char *path)
{
    FILE *file = fopen(path, "r");
    size_t capacity = 0, n_line = 0;
    char *line = NULL;
    if (file == NULL)
        return -1;
    while (getline(&line, &n_line, file) > 0) {
        json_t *object = json_loads(line, 0, NULL);
        const char *question = json_string_value(json_object_get(object, "question")), *answer = json_string_value(json_object_get(object, "answer"));
        if (question == NULL || answer == NULL)
            return -1;
        if (rows->n == capacity) {
            capacity = 2 * capacity + 1024;
            rows->shapes = realloc(rows->shapes, capacity * sizeof *rows->shapes);
            rows->work = realloc(rows->work, capacity * sizeof *rows->work);
            if (rows->shapes == NULL || rows->work == NULL)
                return -1;
        }
        feature_surface(str_of(question), rows->shapes[rows->n]);
        work_read(str_of(answer), rows->work[rows->n++]);
        json_decref(object);
    }
    free(line);
    fclose(file);
    return rows->n > 100 ? 0 : -1;
}

struct fit {
    double mean[N], inverse_sd[N], bias[N_WORK], weights[N_WORK][N];
};

static void standardise(const struct fit *fit, const float *shape, double *out)
{
    for (int k = 0; k < N; k++)
        out[k] = fmax(-4, fmin(4, ((double)shape[k] - fit->mean[k]) * fit->inverse_sd[k]));
}

/* Rows i with i % 5 != left_out; -1: all. */
static void fit_make(struct fit *fit, const struct rows *rows, int left_out)
{
    static double a[N][N], b[N][N_WORK], v[N], center[N];
    double n = 0;
    memset(fit, 0, sizeof *fit);
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    memset(center, 0, sizeof center);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < rows->n; i++) {
            if ((int)(i % 5) == left_out)
                continue;
            n += pass == 0;
            for (int k = 0; k < N; k++) {
                double d = (double)rows->shapes[i][k] - (pass == 1 ? fit->mean[k] : 0);
                *(pass == 0 ? &fit->mean[k] : &fit->inverse_sd[k]) += pass == 0 ? d : d * d;
            }
            for (int t = 0; t < N_WORK && pass == 0; t++)
                fit->bias[t] += rows->work[i][t];
        }
        for (int k = 0; k < N; k++) {
            if (pass == 0)
                fit->mean[k] /= n;
            else
                fit->inverse_sd[k] = fit->inverse_sd[k] / n > 1e-6 ? 1 / sqrt(fit->inverse_sd[k] / n) : 0;
        }
    }
    for (int t = 0; t < N_WORK; t++)
        fit->bias[t] /= n;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < rows->n; i++) {
            if ((int)(i % 5) == left_out)
                continue;
            standardise(fit, rows->shapes[i], v);
            for (int k = 0; k < N; k++) {
                if (pass == 0) {
                    center[k] += v[k] / n;
                    continue;
                }
                for (int j = 0; j < N; j++)
                    a[k][j] += (v[k] - center[k]) * (v[j] - center[j]);
                for (int t = 0; t < N_WORK; t++)
                    b[k][t] += (v[k] - center[k]) * (rows->work[i][t] - fit->bias[t]);
            }
        }
    for (int k = 0; k < N; k++)
        a[k][k] += PENALTY;
    for (int k = 0; k < N; k++) /* Gauss; the matrix is positive definite. */
        for (int j = k + 1; j < N; j++) {
            double factor = a[j][k] / a[k][k];
            for (int c = k; c < N; c++)
                a[j][c] -= factor * a[k][c];
            for (int t = 0; t < N_WORK; t++)
                b[j][t] -= factor * b[k][t];
        }
    for (int t = 0; t < N_WORK; t++)
        for (int k = N - 1; k >= 0; k--) {
            double sum = b[k][t];
            for (int c = k + 1; c < N; c++)
                sum -= a[k][c] * fit->weights[t][c];
            fit->weights[t][k] = sum / a[k][k];
        }
    for (int t = 0; t < N_WORK; t++)
        for (int k = 0; k < N; k++)
            fit->bias[t] -= fit->weights[t][k] * center[k];
}

static void fit_judge(const struct fit *fit, const struct rows *rows, int left_out)
{
    for (int t = 0; t < N_WORK; t++) {
        double n = 0, sum = 0, squares = 0, errors = 0, v[N];
        for (size_t i = (size_t)left_out; i < rows->n; i += 5) {
            double said = fit->bias[t], is = rows->work[i][t];
            standardise(fit, rows->shapes[i], v);
            for (int k = 0; k < N; k++)
                said += fit->weights[t][k] * v[k];
            n++;
            sum += is;
            squares += is * is;
            errors += (said - is) * (said - is);
        }
        printf("%-12s %.2f\n", names[t], 1 - errors / (squares - sum * sum / n));
    }
}

static void array_write(FILE *out, const char *head, const double *values, int n)
{
    fprintf(out, "%s{", head);
    for (int i = 0; i < n; i++)
        fprintf(out, "%s%#.5gF", i == 0 ? "" : i % 16 == 0 ? ",\n    " : ", ", values[i] == 0 ? 0.0 : values[i]);
    fprintf(out, "}");
}

static int table_write(const struct fit *fit, const char *path)
{
    FILE *out = fopen(path, "w");
    if (out == NULL)
        return -1;
    fprintf(out, "/* Generated by tests/bench/classifier/bench_work.c from GSM8K's training questions: github openai/grade-school-math at\n"
                 " * 3101c7d5072418e28b9008a6636bde82a006892c, grade_school_math/data/train.jsonl, MIT licence. */\n");
    array_write(out, "static const float work_mean[N_SHAPE] = ", fit->mean, N);
    array_write(out, ";\nstatic const float work_inverse_sd[N_SHAPE] = ", fit->inverse_sd, N);
    array_write(out, ";\nstatic const float work_bias[N_WORK] = ", fit->bias, N_WORK);
    fprintf(out, ";\nstatic const float work_weights[N_WORK][N_SHAPE] = {\n");
    for (int t = 0; t < N_WORK; t++) {
        array_write(out, "    ", fit->weights[t], N);
        fprintf(out, ",\n");
    }
    fprintf(out, "};\n");
    return fclose(out);
}

int main(int argc, char **argv)
{
    struct rows rows = {0};
    static struct fit fit;
    if (argc < 2 || rows_read(&rows, argv[1]) < 0) {
        fprintf(stderr, "usage: bench_work TRAIN.jsonl [TABLE.inc]   (lines with question and answer, at least 100)\n");
        return 1;
    }
    fit_make(&fit, &rows, 4);
    printf("%zu questions; explained of the last fifth:\n", rows.n);
    fit_judge(&fit, &rows, 4);
    if (argc > 2) {
        fit_make(&fit, &rows, -1);
        if (table_write(&fit, argv[2]) != 0)
            return 1;
    }
    free(rows.shapes);
    free(rows.work);
    return 0;
}
