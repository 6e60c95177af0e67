# One image for every part: docker run … web | worker | scheduler | prepare (the commands of manage.py).
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HARBORSYNC_DATA_DIR=/var/lib/harborsync

RUN useradd --system --uid 10001 --home-dir /var/lib/harborsync --create-home harborsync

WORKDIR /opt/harborsync
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY manage.py ./
COPY harborsync ./harborsync
COPY registry ./registry
COPY targets ./targets
COPY projects ./projects
COPY replication ./replication
COPY templates ./templates
COPY static ./static
COPY locale ./locale
# The keys that the settings make for themselves on the way must not stay in the image.
RUN HARBORSYNC_DATA_DIR=/tmp/build python manage.py compilemessages \
    && rm -rf /tmp/build \
    && python -m compileall -q .

USER 10001
VOLUME /var/lib/harborsync
EXPOSE 8080

# For the web server; compose.yaml switches it off for the parts that serve nothing.
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s CMD ["python", "-m", "harborsync.supervise.health"]

ENTRYPOINT ["python", "manage.py"]
CMD ["web"]
