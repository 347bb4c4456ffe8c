"""PyTorch: inference from uint8 images to probabilities; f32, channels_last, folded batch norm."""

import contest

MODES = ("eager", "script", "compile", "compile-autotune")
args = contest.arguments(__doc__, modes=MODES)

import torch

import nets

torch.set_num_threads(args.threads)
torch.set_flush_denormal(True)
image = torch.from_numpy(contest.images(args, args.batch)[0])


def runner(net):
    def step():
        with torch.inference_mode():
            net(image)

    return step


def script():
    with torch.inference_mode():
        net = torch.jit.trace(nets.torch_predictor(args.net), image)
        return runner(torch.jit.optimize_for_inference(torch.jit.freeze(net)))


def compiled(**options):
    torch._dynamo.reset()
    options = {"freezing": True} | options
    return runner(torch.compile(nets.torch_predictor(args.net), dynamic=False, options=options))


contest.serve(
    args,
    f"torch {torch.__version__}",
    {
        "eager": lambda: runner(nets.torch_predictor(args.net)),
        "script": script,
        "compile": compiled,
        "compile-autotune": lambda: compiled(max_autotune=True),
    },
)
