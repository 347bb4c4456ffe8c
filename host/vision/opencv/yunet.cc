/* YuNet by OpenCV's dnn. cv::FaceDetectorYN of OpenCV 4.6 reads only the older models, and reads
 * beyond the outputs of a network that are smaller than a YuNet's: so outputs are decoded here. */
#include <algorithm>
#include <cmath>
#include <exception>
#include <vector>

#include <opencv2/core/utils/logger.hpp>
#include <opencv2/dnn.hpp>
#include <opencv2/imgproc.hpp>

extern "C" {
#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/vision/opencv/detectors.h"
#include "host/vision/opencv/yunet.h"
}

namespace {

const size_t FILE_MAX = 8 << 20;
/* A photo is scaled to LONG_SIDE pixels; further up if its smallest face has less than FACE then,
 * but to LONGEST at most. The network halves its input five times. */
const int LONG_SIDE = 640, LONGEST = 1920, DIVISOR = 32, FACE = 16;
const int POINTS = 5;
const double OVERLAP_MAX = 0.3;
/* A network that needs more than this is no YuNet. */
const int64_t WORK_MAX = 400000000000;
const size_t MEMORY_MAX = (size_t)2 << 30;
const char *const NAMES_2022[] = {"loc", "conf", "iou"};
const char *const NAMES_2023[] = {"cls_", "obj_", "bbox_", "kps_"};

struct yunet {
    cv::dnn::Net net;
    yunet_layout layout;
    cv::Size checked; /* the input size whose work was checked last */
};

struct found {
    float x, y, width, height, score, points[2 * POINTS];
};

int quiet(int, const char *, const char *, const char *, int, void *) {
    return 0;
}

struct wrong_network : std::exception {
    const char *what() const noexcept override { return "its outputs have other sizes"; }
};

/* An output's values, which must be rows x columns. */
const float *values(const cv::Mat &output, size_t rows, size_t columns) {
    if (output.type() != CV_32F || !output.isContinuous() || output.total() != rows * columns)
        throw wrong_network();
    return output.ptr<float>();
}

float limited(float v) {
    return v > 0 ? std::min(v, 1.0f) : 0; /* also if it is not a number */
}

bool is_usable(const found &f) {
    return std::isfinite(f.x) && std::isfinite(f.y) && f.width >= 1 && f.height >= 1 &&
           f.width < 1e5f && f.height < 1e5f && std::fabs(f.x) < 1e5f && std::fabs(f.y) < 1e5f;
}

/* Of one anchor: its centre and size, in pixels. */
struct anchor {
    float x, y, size;
};

std::vector<anchor> anchors_of(cv::Size input) {
    static const std::vector<float> sizes[] = {{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};
    std::vector<anchor> all;
    for (int level = 0, stride = 8; level < 4; level++, stride *= 2)
        for (int row = 0; row < input.height / stride; row++)
            for (int column = 0; column < input.width / stride; column++)
                for (float size : sizes[level])
                    all.push_back({(column + 0.5f) * stride, (row + 0.5f) * stride, size});
    return all;
}

void decode_2022(const std::vector<cv::Mat> &outputs, cv::Size input, float least,
                 std::vector<found> *out) {
    const float near = 0.1f, far = 0.2f; /* of the offsets in training */
    const std::vector<anchor> anchors = anchors_of(input);
    const float *loc = values(outputs[0], anchors.size(), 14);
    const float *conf = values(outputs[1], anchors.size(), 2);
    const float *iou = values(outputs[2], anchors.size(), 1);
    for (size_t i = 0; i < anchors.size(); i++, loc += 14) {
        const anchor &a = anchors[i];
        found f;
        f.score = std::sqrt(limited(conf[2 * i + 1]) * limited(iou[i]));
        if (!(f.score >= least)) continue;
        f.width = a.size * std::exp(loc[2] * near);
        f.height = a.size * std::exp(loc[3] * far);
        f.x = a.x + loc[0] * near * a.size - f.width / 2;
        f.y = a.y + loc[1] * near * a.size - f.height / 2;
        for (int k = 0; k < 2 * POINTS; k++)
            f.points[k] = (k % 2 ? a.y : a.x) + loc[4 + k] * near * a.size;
        if (is_usable(f)) out->push_back(f);
    }
}

void decode_2023(const std::vector<cv::Mat> &outputs, cv::Size input, float least,
                 std::vector<found> *out) {
    for (int level = 0, stride = 8; level < 3; level++, stride *= 2) {
        const int columns = input.width / stride, rows = input.height / stride;
        const size_t count = (size_t)columns * (size_t)rows;
        const float *cls = values(outputs[level], count, 1);
        const float *obj = values(outputs[3 + level], count, 1);
        const float *box = values(outputs[6 + level], count, 4);
        const float *points = values(outputs[9 + level], count, 2 * POINTS);
        for (size_t i = 0; i < count; i++) {
            const float column = (float)(i % columns), row = (float)(i / columns);
            found f;
            f.score = std::sqrt(limited(cls[i]) * limited(obj[i]));
            if (!(f.score >= least)) continue;
            f.width = std::exp(box[4 * i + 2]) * stride;
            f.height = std::exp(box[4 * i + 3]) * stride;
            f.x = (column + box[4 * i]) * stride - f.width / 2;
            f.y = (row + box[4 * i + 1]) * stride - f.height / 2;
            for (int k = 0; k < 2 * POINTS; k++)
                f.points[k] = ((k % 2 ? row : column) + points[2 * POINTS * i + k]) * stride;
            if (is_usable(f)) out->push_back(f);
        }
    }
}

double overlap(const found &a, const found &b) {
    const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
    const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
    if (width <= 0 || height <= 0) return 0;
    const double both = width * height;
    return both / ((double)a.width * a.height + (double)b.width * b.height - both);
}

/* Keeps the face of the greatest score among those that overlap. */
std::vector<found> without_doubles(std::vector<found> all) {
    std::vector<found> kept;
    std::stable_sort(all.begin(), all.end(),
                     [](const found &a, const found &b) { return a.score > b.score; });
    for (const found &f : all)
        if (std::none_of(kept.begin(), kept.end(),
                         [&](const found &k) { return overlap(k, f) > OVERLAP_MAX; }))
            kept.push_back(f);
    return kept;
}

std::vector<cv::String> output_names(yunet_layout layout) {
    std::vector<cv::String> names;
    if (layout == YUNET_2022)
        names.assign(std::begin(NAMES_2022), std::end(NAMES_2022));
    else
        for (const char *name : NAMES_2023)
            for (const char *stride : {"8", "16", "32"})
                names.push_back(cv::String(name) + stride);
    return names;
}

/* The work of a network is known before it runs. */
void check_work(yunet *y, cv::Size size) {
    if (y->checked == size) return;
    const cv::dnn::MatShape shape = {1, 3, size.height, size.width};
    size_t weights = 0, blobs = 0;
    y->net.getMemoryConsumption(shape, weights, blobs);
    if (weights + blobs > MEMORY_MAX || y->net.getFLOPS(shape) > WORK_MAX) throw wrong_network();
    y->checked = size;
}

std::vector<found> detect(yunet *y, const cv::Mat &photo, float least) {
    const cv::Size size((photo.cols + DIVISOR - 1) / DIVISOR * DIVISOR,
                        (photo.rows + DIVISOR - 1) / DIVISOR * DIVISOR);
    cv::Mat padded;
    std::vector<cv::Mat> outputs;
    std::vector<found> all;
    check_work(y, size);
    cv::copyMakeBorder(photo, padded, 0, size.height - photo.rows, 0, size.width - photo.cols,
                       cv::BORDER_CONSTANT, cv::Scalar::all(0));
    y->net.setInput(cv::dnn::blobFromImage(padded));
    y->net.forward(outputs, output_names(y->layout));
    (y->layout == YUNET_2022 ? decode_2022 : decode_2023)(outputs, size, least, &all);
    return without_doubles(all);
}

void find(yunet *y, const mien_image *image, int least, double sure, std::vector<mien_face> *out) {
    const int width = image->width, height = image->height, longer = std::max(width, height);
    const cv::Mat whole(height, width, image->channels == 1 ? CV_8UC1 : CV_8UC3, image->pixels);
    cv::Mat photo, bgr;
    const double scale = std::min({1.0, std::max((double)LONG_SIDE / longer, FACE / (double)least),
                                   (double)LONGEST / longer});
    cv::resize(whole, photo,
               cv::Size(std::max(1, (int)std::lround(width * scale)),
                        std::max(1, (int)std::lround(height * scale))),
               0, 0, cv::INTER_AREA);
    cv::cvtColor(photo, bgr, image->channels == 1 ? cv::COLOR_GRAY2BGR : cv::COLOR_RGB2BGR);
    for (const found &f : detect(y, bgr, (float)sure)) {
        const cv::Rect box =
            cv::Rect((int)std::lround(f.x / scale), (int)std::lround(f.y / scale),
                     (int)std::lround(f.width / scale), (int)std::lround(f.height / scale)) &
            cv::Rect(0, 0, width, height);
        if (box.empty() || std::max(box.width, box.height) < least) continue;
        mien_face face = {};
        face.box = {box.x, box.y, box.width, box.height};
        face.score = f.score;
        face.has_points = true;
        for (int k = 0; k < POINTS; k++)
            face.points[k] = {f.points[2 * k] / scale, f.points[2 * k + 1] / scale};
        out->push_back(face);
    }
}

} // namespace

mien_status yunet_open(const char *file, int threads, void **out) {
    char *data = nullptr;
    size_t size;
    yunet *y = nullptr;
    *out = nullptr;
    MIEN_TRY(mien_file_read(file, FILE_MAX, &data, &size));
    yunet_layout layout = YUNET_2022;
    const char *wrong = yunet_check((const uint8_t *)data, size, &layout);
    mien_status status = MIEN_OK;
    if (wrong) status = MIEN_FAIL(FORMAT, "'%s' is not a YuNet: %s", file, wrong);
    try {
        if (!wrong) {
            cv::redirectError(quiet); /* errors are reported by the caller */
            cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
            opencv_start_threads(threads);
            y = new yunet();
            y->layout = layout;
            y->net = cv::dnn::readNetFromONNX(data, size);
            y->net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
            detect(y, cv::Mat::zeros(64, 64, CV_8UC3), 1);
        }
    } catch (const std::exception &e) {
        status = MIEN_FAIL(FORMAT, "'%s' is not a YuNet that OpenCV %s can run: %.200s", file,
                           CV_VERSION, e.what());
    }
    mien_free(data);
    if (status == MIEN_OK)
        *out = y;
    else
        delete y;
    return status;
}

void yunet_close(void *state) {
    delete static_cast<yunet *>(state);
}

mien_status yunet_run(void *state, const mien_image *photo, int min_face, double min_score,
                      mien_faces *out) {
    try {
        std::vector<mien_face> faces;
        find(static_cast<yunet *>(state), photo, min_face, min_score, &faces);
        if (faces.empty()) return MIEN_OK;
        MIEN_TRY(mien_new(&out->items, faces.size(), sizeof *out->items));
        std::copy(faces.begin(), faces.end(), out->items);
        out->count = (int)faces.size();
        return MIEN_OK;
    } catch (const std::bad_alloc &) {
        return MIEN_FAIL(NO_MEMORY, "no memory to find faces in %dx%d pixels", photo->width,
                         photo->height);
    } catch (const std::exception &e) {
        return MIEN_FAIL(INVALID, "OpenCV cannot find faces in %dx%d pixels: %.200s", photo->width,
                         photo->height, e.what());
    }
}
