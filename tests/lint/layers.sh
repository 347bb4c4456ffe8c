# The allowed dependencies between source folders; sourced by the other tests here.

# Each folder may use itself, the folders listed here, and what those may use. host/h5 and
# host/decode are separate programs.
allowed() {
    case $1 in
    kernels/body) echo include/mien ;;
    kernels/cpu) echo kernels/body ;;
    kernels/cuda) echo kernels/body ;;
    host/base) echo include/mien ;;
    host/image) echo host/base ;;
    host/vision) echo host/image ;;
    host/vision/opencv) echo host/vision ;;
    host/track) echo host/image ;;
    host/video) echo host/image ;;
    host/video/av) echo host/video ;;
    host/window) echo host/image ;;
    host/window/sdl) echo host/window ;;
    host/backend) echo host/base kernels/cpu ;;
    host/backend/cuda) echo host/backend kernels/cuda ;;
    host/layers) echo host/backend ;;
    host/graph) echo host/layers ;;
    host/data) echo host/backend host/image ;;
    host/formats) echo host/data host/graph ;;
    host/sandbox) echo ;;
    host/h5) echo host/sandbox ;;
    host/decode) echo host/image host/sandbox ;;
    host/infer) echo host/formats host/vision host/track host/video ;;
    host/serve) echo host/infer host/decode ;;
    host/serve/http) echo host/serve ;;
    host/eval) echo host/infer ;;
    host/audit) echo host/eval ;;
    host/train) echo host/eval host/image ;;
    host/runs) echo host/train ;;
    host/bench) echo host/train ;;
    host/report) echo host/audit host/image ;;
    host/api) echo host/train ;;
    host/cli) echo host/audit host/bench host/runs host/report host/vision host/window host/serve ;;
    esac
}
reach() { # all folders that a folder may use
    local folder
    for folder in $(allowed "$1"); do echo "$folder" && reach "$folder"; done
}
