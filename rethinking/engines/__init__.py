"""Where runs run. `local`: this machine's cores and GPUs, one worker process each."""
