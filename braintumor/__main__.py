if __name__ == "__main__":
    # Not imported by the processes that a batch starts, which load this file too.
    from braintumor.cli import main

    raise SystemExit(main())
