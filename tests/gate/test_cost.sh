#!/usr/bin/env bash
# What a training step of vgg costs: its 40 million weights are longer to count.
COST_NETWORKS=vgg exec bash tests/cli/test_cost.sh
