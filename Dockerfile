FROM python:3.11-slim

# Hugging Face runs every Space as user 1000.
RUN useradd --create-home --uid 1000 app && mkdir -m 700 /data && chown app:app /data

WORKDIR /app

# Alone and first, so that a change in the code does not install everything again.
ARG REQUIREMENTS=app
COPY requirements/lock/${REQUIREMENTS}.txt requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

COPY Home.py ./
COPY .streamlit/config.toml .streamlit/config.toml
COPY pages pages
COPY braintumor braintumor
COPY models models
COPY results results
# The page on leakage shows it.
COPY docs/audit.json docs/audit.json

ENV PYTHONUNBUFFERED=1 \
    BRAINTUMOR_DATA_DIR=/data \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=7860

USER app
VOLUME /data
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['STREAMLIT_SERVER_PORT'] + '/_stcore/health', timeout=4)"]

CMD ["streamlit", "run", "Home.py"]
