/* Picture: metrics as one SVG of panels, two a row: cost–quality curve, cascade, reliability, confusion, tiers. It needs no script, font
 * file or network. What the metrics do not have gets no panel. An HTML page holds that SVG; a PNG is drawn from it (picture_png.h). */
#include "picture_png.h"
#include "weir_classifier.h"

#include <math.h>

enum { PANEL = 420, MARGIN = 56, PLOT = PANEL - 2 * MARGIN, MOST_CLASSES = 160 };
static const char INK[] = "#1b2a3a", GRID[] = "#d5dde5", BLUE[] = "#1f6fb2", ORANGE[] = "#d9822b", GREEN[] = "#2e8b57";

struct picture {
    struct buffer out;
    int n_panels;
    double x, y; /* Upper left corner of the panel's plot. */
};

static void text(struct picture *p, double x, double y, const char *anchor, int size, const char *words)
{
    buffer_printf(&p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">", x, y, anchor, size);
    for (const char *c = words; *c != '\0'; c++) {
        if (*c == '<' || *c == '&' || *c == '>')
            buffer_append_str(&p->out, *c == '<' ? STR("&lt;") : *c == '>' ? STR("&gt;") : STR("&amp;"));
        else if ((unsigned char)*c >= 0x20)
            buffer_append_char(&p->out, *c);
    }
    buffer_append_str(&p->out, STR("</text>\n"));
}

static void line(struct picture *p, double x1, double y1, double x2, double y2, const char *color, const char *dashes)
{
    buffer_printf(&p->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-dasharray=\"%s\"/>\n", x1, y1, x2, y2, color, dashes);
}

static double number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void panel_begin(struct picture *p, const char *title)
{
    p->x = MARGIN + (double)(p->n_panels % 2) * PANEL;
    p->y = MARGIN + (double)(p->n_panels / 2) * PANEL;
    p->n_panels++;
    text(p, p->x, p->y - 22, "start", 15, title);
}

/* A unit square's frame with names and labels from 0 to 1 along x and from low to high along y. */
static void axes(struct picture *p, const char *x_name, const char *y_name, double low, double high)
{
    char label[32];
    for (int i = 0; i <= 4; i++) {
        double at = PLOT * i / 4.0;
        line(p, p->x + at, p->y, p->x + at, p->y + PLOT, GRID, "");
        line(p, p->x, p->y + at, p->x + PLOT, p->y + at, GRID, "");
        snprintf(label, sizeof label, "%.2g", i / 4.0);
        text(p, p->x + at, p->y + PLOT + 16, "middle", 11, label);
        snprintf(label, sizeof label, "%.3g", high - (high - low) * i / 4);
        text(p, p->x - 6, p->y + at + 4, "end", 11, label);
    }
    text(p, p->x + PLOT / 2.0, p->y + PLOT + 34, "middle", 12, x_name);
    text(p, p->x, p->y - 6, "start", 11, y_name);
}

/* Where a quality between two others lies in the plot. */
static double y_of(const struct picture *p, double quality, double low, double high)
{
    return p->y + PLOT * (1 - (quality - low) / (high - low));
}

static void widen(const json_t *points, double *low, double *high)
{
    const json_t *point;
    size_t i;
    json_array_foreach((json_t *)points, i, point)
    {
        *low = fmin(*low, json_number_value(json_array_get(point, 1)));
        *high = fmax(*high, json_number_value(json_array_get(point, 1)));
    }
}

static void add_room(double *low, double *high)
{
    double room = *high > *low ? 0.05 * (*high - *low) : 0.05;
    *low -= room;
    *high += room;
}

static void draw_points(struct picture *p, const json_t *points, double low, double high, const char *color)
{
    const json_t *point;
    size_t i;
    buffer_printf(&p->out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2.5\" points=\"", color);
    json_array_foreach((json_t *)points, i, point)
        buffer_printf(&p->out, "%.1f,%.1f ", p->x + PLOT * json_number_value(json_array_get(point, 0)),
                      y_of(p, json_number_value(json_array_get(point, 1)), low, high));
    buffer_append_str(&p->out, STR("\"/>\n"));
}

static void draw_curve(struct picture *p, const json_t *metrics)
{
    const json_t *points = json_object_get(metrics, "curve");
    double local = number(metrics, "quality_local"), remote = number(metrics, "quality_remote"), low = fmin(local, remote), high = fmax(local, remote);
    char words[160];
    if (!json_is_array(points) || !isfinite(low))
        return;
    widen(points, &low, &high);
    add_room(&low, &high);
    panel_begin(p, "Quality over the share of remote calls");
    axes(p, "share of calls to the remote model", "mean quality", low, high);
    line(p, p->x, y_of(p, local, low, high), p->x + PLOT, y_of(p, remote, low, high), ORANGE, "5 4");
    draw_points(p, points, low, high, BLUE);
    for (int k = 0; k < 2; k++) {
        double share = number(metrics, k == 0 ? "cpt50" : "cpt80"), quality = local + (k == 0 ? 0.5 : 0.8) * (remote - local);
        if (!isfinite(share))
            continue;
        line(p, p->x + PLOT * share, p->y + PLOT, p->x + PLOT * share, y_of(p, quality, low, high), BLUE, "2 3");
        snprintf(words, sizeof words, "CPT%d %.1f %%", k == 0 ? 50 : 80, 100 * share);
        bool before = k == 0 && share > 0.25; /* Beside its line, out of the other's way. */
        text(p, p->x + PLOT * share + (before ? -5 : 5), p->y + PLOT - 8 - 16 * k, before ? "end" : "start", 12, words);
    }
    snprintf(words, sizeof words, "APGR %.3f   AIQ %.3f   %lld lines   (dashed: at random)", number(metrics, "apgr"), number(metrics, "aiq"),
             (long long)json_integer_value(json_object_get(metrics, "n_scores")));
    text(p, p->x + PLOT / 2.0, p->y + PLOT + 50, "middle", 12, words);
}

/* The lines with an answer by the question alone, by the answer alone, and by both. */
static void draw_cascade(struct picture *p, const json_t *cascade)
{
    static const struct {
        const char *name, *title, *color;
    } ways[] = {{"scoring", "scoring alone", BLUE}, {"answer", "answer alone", ORANGE}, {"both", "both", GREEN}};
    enum { N_WAYS = sizeof ways / sizeof *ways };
    double local = number(cascade, "quality_local"), remote = number(cascade, "quality_remote"), low = fmin(local, remote), high = fmax(local, remote);
    char words[160];
    if (!json_is_object(cascade) || !isfinite(low))
        return;
    for (int i = 0; i < N_WAYS; i++)
        widen(json_object_get(json_object_get(cascade, ways[i].name), "curve"), &low, &high);
    add_room(&low, &high);
    panel_begin(p, "Cascade: scoring, the answer, and both");
    axes(p, "share of calls to the remote model", "mean quality", low, high);
    line(p, p->x, y_of(p, local, low, high), p->x + PLOT, y_of(p, remote, low, high), INK, "5 4");
    for (int i = 0; i < N_WAYS; i++) {
        const json_t *way = json_object_get(cascade, ways[i].name);
        draw_points(p, json_object_get(way, "curve"), low, high, ways[i].color);
        line(p, p->x + PLOT - 178, p->y + PLOT - 48 + 16 * i, p->x + PLOT - 156, p->y + PLOT - 48 + 16 * i, ways[i].color, "");
        snprintf(words, sizeof words, "%s, APGR %.3f", ways[i].title, number(way, "apgr"));
        text(p, p->x + PLOT - 150, p->y + PLOT - 44 + 16 * i, "start", 11, words);
    }
    snprintf(words, sizeof words, "%lld lines with an answer   (dashed: at random)", (long long)json_integer_value(json_object_get(cascade, "n")));
    text(p, p->x + PLOT / 2.0, p->y + PLOT + 50, "middle", 12, words);
}

static void draw_reliability(struct picture *p, const json_t *bins, const char *title, double error)
{
    const json_t *bin;
    char words[96];
    double most = 1;
    size_t i;
    if (!json_is_array(bins))
        return;
    panel_begin(p, title);
    axes(p, "probability said", "share that was so", 0, 1);
    line(p, p->x, p->y + PLOT, p->x + PLOT, p->y, ORANGE, "5 4");
    json_array_foreach((json_t *)bins, i, bin)
        most = fmax(most, number(bin, "n"));
    json_array_foreach((json_t *)bins, i, bin)
        buffer_printf(&p->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" fill-opacity=\"0.75\"/>\n", p->x + PLOT * number(bin, "said"),
                      p->y + PLOT * (1 - number(bin, "was")), 3 + 9 * sqrt(number(bin, "n") / most), BLUE);
    if (isfinite(error)) {
        snprintf(words, sizeof words, "expected calibration error %.4f   (area of a dot: lines)", error);
        text(p, p->x + PLOT / 2.0, p->y + PLOT + 50, "middle", 12, words);
    }
}

/* Rows: what is so; columns: what was said, in the order of the rows. */
static void draw_confusion(struct picture *p, const json_t *confusion)
{
    const char *names[MOST_CLASSES], *truth, *said;
    json_t *row, *count;
    size_t n = 0;
    json_object_foreach((json_t *)confusion, truth, row)
    {
        if (n < MOST_CLASSES)
            names[n++] = truth;
    }
    if (n == 0)
        return;
    double cell = (double)PLOT / (double)n;
    panel_begin(p, "Confusion of domains (rows: the true one)");
    buffer_printf(&p->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"%s\"/>\n", p->x, p->y, PLOT, PLOT, GRID);
    for (size_t i = 0; i < n; i++) {
        double all = 0;
        row = json_object_get(confusion, names[i]);
        json_object_foreach(row, said, count) all += json_number_value(count);
        for (size_t k = 0; k < n; k++) {
            double share = json_number_value(json_object_get(row, names[k])) / (all > 0 ? all : 1);
            if (share > 0)
                buffer_printf(&p->out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n",
                              p->x + cell * (double)k, p->y + cell * (double)i, cell, cell, i == k ? BLUE : ORANGE, 0.15 + 0.85 * share);
        }
        if (n <= 24)
            text(p, p->x - 4, p->y + cell * ((double)i + 0.5) + 4, "end", 9, names[i]);
    }
}

static void draw_tiers(struct picture *p, const json_t *tiers)
{
    const char *name;
    json_t *tier;
    double most = 0, y;
    char words[96];
    json_object_foreach((json_t *)tiers, name, tier) most = fmax(most, number(tier, "mean_us"));
    if (!(most > 0))
        return;
    panel_begin(p, "Time of each tier (mean, logarithmic)");
    y = p->y + 10;
    json_object_foreach((json_t *)tiers, name, tier)
    {
        double us = number(tier, "mean_us"), width = PLOT * log1p(us) / log1p(most);
        buffer_printf(&p->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"22\" fill=\"%s\"/>\n", p->x, y + 18, width > 1 ? width : 1, BLUE);
        bool long_one = us >= 1000;
        snprintf(words, sizeof words, "%.40s: %.3g %s, %lld lines", name, long_one ? us / 1000 : us, long_one ? "ms" : "µs", (long long)json_integer_value(json_object_get(tier, "n")));
        text(p, p->x, y + 12, "start", 12, words);
        y += 64;
    }
}

static bool is_png(const char *path)
{
    return str_ends(str_of(path), STR(".png"));
}

int metrics_picture_possible(const char *path, struct error *err)
{
    struct buffer drawn;
    buffer_init(&drawn, 1 << 20);
    int status = is_png(path) ? picture_png(STR("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>"), &drawn, err) : 0;
    buffer_release(&drawn);
    return status;
}

int metrics_picture(const json_t *metrics, const char *path, struct error *err)
{
    struct picture p = {0};
    struct buffer file;
    const char *const who[2] = {"local", "remote"};
    char name[48], title[80];
    buffer_init(&p.out, 64 << 20);
    draw_curve(&p, metrics);
    draw_cascade(&p, json_object_get(metrics, "cascade"));
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "reliability_%s", who[k]);
        snprintf(title, sizeof title, "Reliability of P(%s answers well)", who[k]);
        const json_t *bins = json_object_get(metrics, name);
        snprintf(name, sizeof name, "ece_%s", who[k]);
        draw_reliability(&p, bins, title, number(metrics, name));
    }
    draw_confusion(&p, json_object_get(metrics, "confusion"));
    draw_tiers(&p, json_object_get(metrics, "tiers"));
    bool page = str_ends(str_of(path), STR(".html")), pixels = is_png(path);
    int rows = (p.n_panels + 1) / 2, height = rows * PANEL + 30;
    buffer_init(&file, 65 << 20);
    if (page)
        buffer_append_str(&file, STR("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>weir eval</title></head><body>\n"));
    buffer_printf(&file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" fill=\"%s\">\n",
                  2 * PANEL, height, 2 * PANEL, height, INK);
    buffer_append_str(&file, STR("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"));
    buffer_append_str(&file, buffer_str(&p.out));
    buffer_append_str(&file, STR("</svg>\n"));
    if (page)
        buffer_append_str(&file, STR("</body></html>\n"));
    int status = p.out.failed || file.failed ? error_set(err, WEIR_E_LIMIT, path, "the picture is too large") : 0;
    buffer_clear(&p.out);
    if (status == 0 && pixels)
        status = picture_png(buffer_str(&file), &p.out, err);
    str drawn = buffer_str(pixels ? &p.out : &file);
    if (status == 0)
        status = file_write_atomic(path, drawn.data, drawn.n, 0644, err);
    buffer_release(&p.out);
    buffer_release(&file);
    return status;
}
