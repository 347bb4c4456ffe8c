/* OpenCV's Haar cascade.
 *
 * OpenCV trusts a cascade: an index or a rectangle out of bounds would make it read there. So the
 * cascade is validated before OpenCV gets it. */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#include <opencv2/core/utility.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>

extern "C" {
#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/vision/opencv/detectors.h"
}

namespace {

/* Chosen on portraits and a group photo of 29: docs/adr/0016-faces.md. */
const double STEP = 1.15;
const int NEIGHBOURS = 3;
const char FRONTAL[] = "haarcascade_frontalface_default.xml";
const size_t XML_MAX = 16 << 20;
const int DEPTH_MAX = 32, WINDOW_MAX = 256;
/* Larger photos are scaled down to this for detection: a higher resolution finds no more faces. */
const int SIDE_MAX = 1600;

/* A second look at faces whose score is less than CLEARLY above the threshold: the region around
 * one, enlarged by LOOK_MARGIN of its side, scaled to LOOK windows and mirrored, must be found
 * again. A true face is found at many positions and sizes, each of which counts as much as LOOK_HIT
 * of the score. */
const double CLEARLY = 2, LOOK_HIT = 0.15, LOOK_MARGIN = 0.35, LOOK_STEP = 1.1;
const int LOOK = 2;

struct haar {
    cv::CascadeClassifier cascade;
    int window; /* the shorter side of the cascade's window */
    bool
        frontal; /* the installed cascade, whose faces are symmetric: weak ones get a second look */
};

int quiet(int, const char *, const char *, const char *, int, void *) {
    return 0;
}

/* The end of the tag, comment or declaration that begins at `at`: its last character, or NULL. */
const char *tag_end(const char *at) {
    if (strncmp(at, "<!--", 4) == 0) {
        const char *end = strstr(at + 4, "-->");
        return end ? end + 2 : nullptr;
    }
    for (char quote = 0; *at && (quote || *at != '>'); at++)
        if (quote ? *at == quote : *at == '"' || *at == '\'') quote = quote ? 0 : *at;
    return *at ? at : nullptr;
}

/* Whether elements are nested too deeply: OpenCV's parser is recursive. */
bool too_deep(const char *xml) {
    int depth = 0;
    for (const char *at = xml, *end; (at = strchr(at, '<')); at = end) {
        if (!(end = tag_end(at))) return true;
        if (at[1] == '/')
            depth--;
        else if (at[1] != '!' && at[1] != '?' && end[-1] != '/')
            depth++;
        if (depth > DEPTH_MAX || depth < 0) return true;
    }
    return depth != 0;
}

bool int_between(const cv::FileNode &node, int low, int high, int *out) {
    if (!node.isInt()) return false;
    *out = (int)node;
    return *out >= low && *out <= high;
}

bool inside(const cv::Rect &r, bool tilted, cv::Size window) {
    if (r.x < 0 || r.y < 0 || r.width < 1 || r.height < 1 || r.width > window.width ||
        r.height > window.height)
        return false;
    /* a tilted rectangle extends from its top corner: height to the left, width to the right */
    if (tilted)
        return r.x >= r.height && r.x + r.width <= window.width &&
               r.y + r.width + r.height <= window.height;
    return r.x + r.width <= window.width && r.y + r.height <= window.height;
}

bool good_feature(const cv::FileNode &feature, cv::Size window) {
    const cv::FileNode rects = feature["rects"], tilted = feature["tilted"];
    int tilt = 0;
    if (!rects.isSeq() || rects.size() < 1 || rects.size() > 3) return false;
    if (!tilted.empty() && !int_between(tilted, 0, 1, &tilt)) return false;
    for (const cv::FileNode rect : rects) {
        int v[4];
        if (!rect.isSeq() || rect.size() != 5) return false;
        for (int i = 0; i < 4; i++)
            if (!int_between(rect[i], 0, WINDOW_MAX, &v[i])) return false;
        if (!rect[4].isInt() && !rect[4].isReal()) return false;
        if (!inside(cv::Rect(v[0], v[1], v[2], v[3]), tilt, window)) return false;
    }
    return true;
}

/* Nodes are left, right, feature, threshold. A positive child is a node after its parent, else it
 * is minus the number of a leaf. */
bool good_tree(const cv::FileNode &weak, int features) {
    const cv::FileNode nodes = weak["internalNodes"], leaves = weak["leafValues"];
    if (!nodes.isSeq() || !leaves.isSeq() || nodes.size() % 4 || nodes.size() < 4 ||
        leaves.size() != nodes.size() / 4 + 1)
        return false;
    const int count = (int)nodes.size() / 4;
    cv::FileNodeIterator at = nodes.begin();
    for (int i = 0; i < count; i++) {
        int child, feature;
        for (int side = 0; side < 2; side++, ++at)
            if (!int_between(*at, -count, count - 1, &child) || (child > 0 && child <= i))
                return false;
        if (!int_between(*at, 0, features - 1, &feature)) return false;
        ++at;
        if (!(*at).isInt() && !(*at).isReal()) return false;
        ++at;
    }
    for (const cv::FileNode leaf : leaves)
        if (!leaf.isInt() && !leaf.isReal()) return false;
    return true;
}

/* What is wrong with a cascade, or NULL. */
const char *find_fault(const cv::FileNode &root, cv::Size *window) {
    const cv::FileNode stages = root["stages"], features = root["features"];
    if (!root.isMap() || !root["stageType"].isString() || (std::string)root["stageType"] != "BOOST")
        return "it is not an OpenCV cascade";
    if (!root["featureType"].isString() || (std::string)root["featureType"] != "HAAR")
        return "its features are not Haar features";
    if (!int_between(root["width"], 3, WINDOW_MAX, &window->width) ||
        !int_between(root["height"], 3, WINDOW_MAX, &window->height))
        return "its window size is invalid";
    const cv::FileNode categories = root["featureParams"]["maxCatCount"];
    int none;
    if (!categories.empty() && !int_between(categories, 0, 0, &none))
        return "its trees are categorical";
    if (!stages.isSeq() || !stages.size() || !features.isSeq() || !features.size())
        return "it has no stages or no features";
    for (const cv::FileNode feature : features)
        if (!good_feature(feature, *window)) return "a feature is outside its window";
    for (const cv::FileNode stage : stages) {
        const cv::FileNode weak = stage["weakClassifiers"], least = stage["stageThreshold"];
        if ((!least.isInt() && !least.isReal()) || !weak.isSeq() || !weak.size())
            return "a stage is incomplete";
        for (const cv::FileNode tree : weak)
            if (!good_tree(tree, (int)features.size())) return "a tree has an index out of range";
    }
    return nullptr;
}

mien_status read_cascade(haar *h, const char *xml, const char *name) {
    const cv::FileStorage file(xml, cv::FileStorage::READ | cv::FileStorage::MEMORY);
    const cv::FileNode root = file.getFirstTopLevelNode();
    cv::Size window;
    const char *wrong = find_fault(root, &window);
    if (!wrong && !h->cascade.read(root)) wrong = "OpenCV rejects it";
    if (wrong) return MIEN_FAIL(FORMAT, "'%s' is not a usable cascade: %s", name, wrong);
    h->window = std::min(window.width, window.height);
    return MIEN_OK;
}

/* The region around a box, mirrored, so that the box has LOOK windows. */
cv::Mat cut_again(const cv::Mat &photo, const cv::Rect &box, int side) {
    const int margin = (int)std::lround(LOOK_MARGIN * box.width);
    const cv::Rect around(box.x - margin, box.y - margin, box.width + 2 * margin,
                          box.height + 2 * margin);
    const cv::Rect inside = around & cv::Rect(0, 0, photo.cols, photo.rows);
    cv::Mat whole, look;
    cv::copyMakeBorder(photo(inside), whole, inside.y - around.y, around.br().y - inside.br().y,
                       inside.x - around.x, around.br().x - inside.br().x,
                       cv::BORDER_REPLICATE | cv::BORDER_ISOLATED);
    const int size = (int)std::lround(side * (1 + 2 * LOOK_MARGIN));
    cv::resize(whole, look, cv::Size(size, size), 0, 0,
               around.width > size ? cv::INTER_AREA : cv::INTER_LINEAR);
    cv::flip(look, look, 1);
    return look;
}

/* Whether a second look at a weak face finds it again. */
bool is_found_again(haar *h, const cv::Mat &photo, const cv::Rect &box, double missing) {
    const int side = LOOK * h->window;
    const cv::Mat look = cut_again(photo, box, side);
    std::vector<cv::Rect> found;
    h->cascade.detectMultiScale(look, found, LOOK_STEP, 0, 0,
                                cv::Size(side * 7 / 10, side * 7 / 10),
                                cv::Size(side * 29 / 20, side * 29 / 20));
    int hits = 0;
    for (const cv::Rect &again : found) {
        const double x = again.x + (again.width - look.cols) / 2.0,
                     y = again.y + (again.height - look.rows) / 2.0;
        hits += std::max(std::fabs(x), std::fabs(y)) < 0.25 * side;
    }
    return hits * LOOK_HIT >= missing;
}

void find(haar *h, const uint8_t *gray, int width, int height, int least, double sure,
          std::vector<mien_face> *out) {
    const cv::Mat whole_photo(height, width, CV_8U, const_cast<uint8_t *>(gray));
    cv::Mat photo = whole_photo;
    /* down to SIDE_MAX, but the smallest face must still fill the cascade's window */
    const double scale = std::min(
        1.0, std::max(SIDE_MAX / (double)std::max(width, height), h->window / (double)least));
    if (scale < 1) cv::resize(whole_photo, photo, cv::Size(), scale, scale, cv::INTER_AREA);
    const int small = std::max(1, (int)std::lround(least * scale));
    std::vector<cv::Rect> boxes;
    std::vector<int> levels;
    std::vector<double> scores;
    h->cascade.detectMultiScale(photo, boxes, levels, scores, STEP, NEIGHBOURS, 0,
                                cv::Size(small, small), cv::Size(), true);
    for (size_t i = 0; i < boxes.size(); i++) {
        if (!(scores[i] >= sure)) continue;
        const cv::Rect &b = boxes[i];
        const cv::Rect box =
            cv::Rect((int)std::lround(b.x / scale), (int)std::lround(b.y / scale),
                     (int)std::lround(b.width / scale), (int)std::lround(b.height / scale)) &
            cv::Rect(0, 0, width, height);
        const double missing = sure + CLEARLY - scores[i];
        if (box.empty() ||
            (h->frontal && missing > 0 && !is_found_again(h, whole_photo, box, missing)))
            continue;
        mien_face face = {};
        face.box = {box.x, box.y, box.width, box.height};
        face.score = scores[i];
        out->push_back(face);
    }
}

mien_status find_frontal(char *out) {
    if (mien_shared_file("haarcascades", FRONTAL, out) == MIEN_OK) return MIEN_OK;
    MIEN_TRY(mien_path_join(out, "/usr/share/opencv4/haarcascades", FRONTAL));
    if (mien_file_exists(out)) return MIEN_OK;
    return MIEN_FAIL(NOT_FOUND,
                     "no '%s' next to the program or in /usr/share/opencv4/haarcascades: install "
                     "Debian's opencv-data, or give one with --detector haar:FILE.xml",
                     FRONTAL);
}

} // namespace

/* TBB starts its threads when there is work for them, and they keep the CPUs of the thread that
 * starts them: they start here, where that thread may use all CPUs. */
void opencv_start_threads(int threads) {
    if (threads > 0) cv::setNumThreads(threads);
    std::atomic<int> begun{0};
    const int count = cv::getNumThreads();
    cv::parallel_for_(cv::Range(0, count), [&](const cv::Range &) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
        for (begun++; begun < count && std::chrono::steady_clock::now() < end;)
            std::this_thread::yield();
    });
}

static mien_status parse(const char *xml, size_t size, const char *name, int threads, void **out) {
    *out = nullptr;
    if (strlen(xml) != size || !strstr(xml, "<opencv_storage>") || xml[0] != '<' || too_deep(xml))
        return MIEN_FAIL(FORMAT, "'%s' is not OpenCV XML", name);
    haar *h = nullptr;
    try {
        /* `xml` is zero-terminated untrusted text; errors are reported by the caller */
        cv::redirectError(quiet);
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
        opencv_start_threads(threads);
        h = new haar();
        const mien_status status = read_cascade(h, xml, name);
        if (status == MIEN_OK)
            *out = h;
        else
            delete h;
        return status;
    } catch (const std::exception &e) {
        delete h;
        return MIEN_FAIL(FORMAT, "'%s' is not a usable cascade: %.200s", name, e.what());
    }
}

mien_status haar_open(const char *file, int threads, void **out) {
    char found[MIEN_PATH];
    char *xml = nullptr;
    size_t size;
    *out = nullptr;
    if (!file) {
        MIEN_TRY(find_frontal(found));
        file = found;
    }
    MIEN_TRY(mien_file_read(file, XML_MAX, &xml, &size));
    const mien_status status = parse(xml, size, file, threads, out);
    mien_free(xml);
    if (status == MIEN_OK) static_cast<haar *>(*out)->frontal = file == found;
    return status;
}

void haar_close(void *state) {
    delete static_cast<haar *>(state);
}

mien_status haar_run(void *state, const mien_image *photo, int min_face, double min_score,
                     mien_faces *out) {
    const int width = photo->width, height = photo->height;
    try {
        std::vector<mien_face> faces;
        find(static_cast<haar *>(state), photo->pixels, width, height, min_face, min_score, &faces);
        if (faces.empty()) return MIEN_OK;
        MIEN_TRY(mien_new(&out->items, faces.size(), sizeof *out->items));
        std::copy(faces.begin(), faces.end(), out->items);
        out->count = (int)faces.size();
        return MIEN_OK;
    } catch (const std::bad_alloc &) {
        return MIEN_FAIL(NO_MEMORY, "no memory to find faces in %dx%d pixels", width, height);
    } catch (const std::exception &e) {
        return MIEN_FAIL(INVALID, "OpenCV cannot find faces in %dx%d pixels: %.200s", width, height,
                         e.what());
    }
}
