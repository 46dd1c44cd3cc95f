"""Photos, videos and folders to results: the plan, the batch and its reports."""
