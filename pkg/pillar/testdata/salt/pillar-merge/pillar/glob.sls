glob: true
to_dict: {now: dict}
